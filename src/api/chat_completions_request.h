#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/json_reader.h"
#include "api/tool_reader.h"
#include "api/tool_registry.h"
#include "chat/turn_request.h"
#include "tools/tool.h"

namespace gossamer::api {

/// What a server knows that a request to POST /v1/chat/completions does not say.
struct ChatDefaults {
  std::string model;                                      ///< for requests that name none
  std::string date;                                       ///< ISO date; empty: none is told
  std::vector<std::shared_ptr<const tools::Tool>> tools;  ///< that the server runs
};

/// A request to POST /v1/chat/completions.
struct ChatCompletionsRequest {
  std::string id;          ///< of the completion that answers it
  std::string model;       ///< as the client wrote it
  chat::TurnRequest turn;  ///< what is asked for
  ToolRegistry tools;      ///< the client's, for the names of its calls
  bool stream = false;
  bool include_usage = false;  ///< at the end of a stream
  bool logprobs = false;

  /// What was left out or changed, for the server's log. Names fields, never quotes texts.
  std::vector<std::string> warnings;
};

/// Reads a request (parse_body's). Fields that nobody here knows are ignored. The server's tools
/// are offered when the client leaves the choice to the model; a call that the client requires is
/// a call of its own tools.
ApiResult<ChatCompletionsRequest> read_chat_completions_request(
    const Json& body, const ChatDefaults& defaults
);

}  // namespace gossamer::api
