#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "harmony/message.h"

namespace gossamer::harmony {

// The reference library's JSON form, in both directions:
//
//   {"messages": [{"role": "tool", "name": "functions.f", "recipient": "assistant",
//                  "channel": "commentary", "content": "…"}]}
//
// `content` is a string (one text), or a list of {"type": "text", "text": …},
// {"type": "system_content", …} and {"type": "developer_content", …}. An absent key and null mean
// the same. Unknown keys are ignored. `Message::sampled` has no JSON form.

/// Reads a conversation. Errors name the place: "messages[2].content[0].text: must be a string".
Result<Conversation> conversation_from_json(std::string_view json);

/// Reads one message.
Result<Message> message_from_json(std::string_view json);

/// Writes compact JSON; absent fields are left out.
std::string conversation_to_json(const Conversation& conversation);
std::string message_to_json(const Message& message);

}  // namespace gossamer::harmony
