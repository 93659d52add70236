#pragma once

#include <span>
#include <string>

#include "harmony/encoding.h"
#include "harmony/stream_parser.h"

namespace gossamer::harmony {

/// Parses a stream leniently and checks what must hold for any stream:
///
/// * events come in order: a message starts, its text grows by whole UTF-8 characters, it ends;
/// * the text of a message is what its events added;
/// * no text is made up: the messages hold no character that the stream's text tokens do not;
/// * no text is lost: every character of the text tokens, white space apart, is in a message's
///   content or header, or in the detail of a repair;
/// * content keeps the order of the tokens.
///
/// Returns what is wrong, or "".
std::string check_lenient_parse(
    const Encoding& encoding, std::span<const TokenId> tokens, std::optional<Role> role
);

}  // namespace gossamer::harmony
