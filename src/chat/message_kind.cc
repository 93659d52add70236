#include "chat/message_kind.h"

#include <algorithm>
#include <string_view>

namespace gossamer::chat {
namespace {

using harmony::Message;
using harmony::Role;

bool is_call(const Message& message) {
  if (!message.recipient || message.channel == "final") return false;
  return *message.recipient != "all" && *message.recipient != "user";
}

Destination callee(const std::string& recipient, const Callees& callees) {
  for (const std::string& function : callees.functions) {
    if (function == recipient || function == "functions." + recipient) {
      return {MessageKind::kFunctionCall, function};
    }
  }
  const std::string_view name = std::string_view(recipient).substr(0, recipient.find('.'));
  for (const auto& tool : callees.tools) {
    if (tool->declaration().name == name) return {MessageKind::kToolCall, recipient, tool.get()};
  }
  return {MessageKind::kFunctionCall, recipient};
}

}  // namespace

Destination destination_of(const Message& message, const Callees& callees) {
  if (message.role != Role::kAssistant) return {MessageKind::kReasoning, ""};
  if (is_call(message)) return callee(*message.recipient, callees);
  if (message.channel == "analysis") return {MessageKind::kReasoning, ""};
  if (message.channel == "commentary") return {MessageKind::kPreamble, ""};
  return {MessageKind::kAnswer, ""};
}

}  // namespace gossamer::chat
