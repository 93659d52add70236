#pragma once

#include <memory>
#include <span>
#include <string>

#include "chat/event.h"
#include "harmony/message.h"
#include "tools/tool.h"

namespace gossamer::chat {

/// Whom a turn's calls can reach.
struct Callees {
  std::span<const std::string> functions;                     ///< as TurnRequest::functions
  std::span<const std::shared_ptr<const tools::Tool>> tools;  ///< as TurnRequest::tools
};

/// What a message of the model is for, and whom it calls.
struct Destination {
  MessageKind kind = MessageKind::kAnswer;
  std::string recipient;              ///< of calls: the declared name, or as written
  const tools::Tool* tool = nullptr;  ///< of kToolCall
};

/// Reads the header of a message of the model. The recipient decides, on any channel but "final":
/// it is a function's declared name, or that without "functions."; or a tool, by its first part;
/// or else a function that nobody declared, which the caller has to deal with. Without a recipient
/// the channel decides, and what has no channel is an answer.
Destination destination_of(const harmony::Message& message, const Callees& callees);

}  // namespace gossamer::chat
