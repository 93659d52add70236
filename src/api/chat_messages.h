#pragma once

#include <vector>

#include "api/json_reader.h"
#include "api/tool_registry.h"
#include "harmony/message.h"

namespace gossamer::api {

/// Reads "messages" of the Chat Completions API as Harmony's messages, in order. The system and
/// developer messages that come first are merged into `developer`'s instructions; later ones stay
/// where they are. An assistant's reasoning (`reasoning`, `reasoning_content` or `thinking`) comes
/// before what it said; what it said is a preamble when calls follow, else an answer. Results of
/// tools are shown whether or not their call is there. Images, audio and files become a word in
/// brackets. The same messages give the same result, and more of them only add to it.
///
/// Errors name the field, e.g. "messages[2].content[0].text".
std::vector<harmony::Message> read_chat_messages(
    const ObjectReader& request, const ToolRegistry& tools, harmony::DeveloperContent& developer
);

}  // namespace gossamer::api
