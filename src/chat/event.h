#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "engine/token_choice.h"

namespace gossamer::chat {

/// What a message of the model is for.
enum class MessageKind {
  kReasoning,     ///< analysis: the model's thoughts
  kPreamble,      ///< commentary to the user, before a call
  kAnswer,        ///< final
  kFunctionCall,  ///< a call of a function that the caller declared, and runs
  kToolCall,      ///< a call of a tool that gossamer runs
};

// Of one message come, in this order: MessageStarted, TextAdded…, MessageEnded and, for a tool
// call, ToolFinished. Messages do not overlap. `message` is the index that it has in
// Turn::messages(), where the results of tools count too. A tool call that the generation cut, or
// that comes when there is no room for more, has no ToolFinished.

/// The model began a message.
struct MessageStarted {
  std::size_t message;
  MessageKind kind;
  std::string recipient;  ///< of calls: the declared name, e.g. "functions.get_weather"
};

/// Text came: whole UTF-8 characters, never empty.
struct TextAdded {
  std::size_t message;
  std::string text;
  std::vector<engine::SampledToken> tokens;  ///< whose bytes end in this text
};

/// The message is over. `is_complete` is false when the generation ended inside it.
struct MessageEnded {
  std::size_t message;
  bool is_complete;
};

/// gossamer has run the call that this message was.
struct ToolFinished {
  std::size_t message;
  std::string output;
  bool failed;
};

using Event = std::variant<MessageStarted, TextAdded, MessageEnded, ToolFinished>;

}  // namespace gossamer::chat
