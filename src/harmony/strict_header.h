#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "harmony/message.h"

namespace gossamer::harmony {

/// Reads a header (UTF-8: the text between `<|start|>` and `<|message|>`, its special tokens
/// written out) as the reference does, its quirks and error texts included. `role` is given when
/// the prompt already began the message. The result has no content.
Result<Message> read_strict_header(std::string_view header, std::optional<Role> role);

}  // namespace gossamer::harmony
