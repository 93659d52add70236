#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "api/responses_input.h"
#include "api/responses_request.h"
#include "api/sealed_reasoning.h"
#include "chat/turn_request.h"
#include "harmony/message.h"
#include "tools/tool.h"

namespace gossamer::api {

using ServerTools = std::vector<std::shared_ptr<const tools::Tool>>;

/// What a conversation needs besides the items.
struct ConversationContext {
  std::string date;                       ///< ISO date; fixed for a chain of responses
  ServerTools tools;                      ///< that the server runs
  const SealedReasoning* seal = nullptr;  ///< opens encrypted reasoning; null: cannot
};

/// Items -> messages: a system message; a developer message with the instructions, the system and
/// developer items before anything else, the tools and the response format; and the items in order.
/// The same items give the same messages, and more items only add to them. References must be
/// resolved. Reasoning is all kept: rendering drops what an answer follows. `warnings` gets what
/// could not be shown.
harmony::Conversation build_conversation(
    const ResponsesRequest& request,
    std::span<const Json> items,
    const ConversationContext& context,
    std::vector<std::string>& warnings
);

/// The turn that a request asks for.
chat::TurnRequest make_turn_request(
    const ResponsesRequest& request,
    harmony::Conversation conversation,
    const ConversationContext& context
);

}  // namespace gossamer::api
