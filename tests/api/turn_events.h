#pragma once

#include <string>
#include <vector>

#include "chat/event.h"
#include "harmony/encoding.h"

namespace gossamer::api {

/// The encoding of the released models, made once for all tests of the program.
const harmony::Encoding& o200k_encoding();

/// The events of a turn in which the model writes these segments, special tokens written out.
/// Recipients that begin with "functions." or with one of `functions` are the client's; the others
/// are tools of the server, which answer with the next of `results`. The last segment may be cut.
std::vector<chat::Event> events_of(
    const std::vector<std::string>& segments,
    const std::vector<std::string>& results = {},
    const std::vector<std::string>& functions = {}
);

}  // namespace gossamer::api
