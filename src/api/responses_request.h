#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/json_reader.h"
#include "api/responses_input.h"
#include "api/tool_reader.h"
#include "api/tool_registry.h"
#include "engine/sampling_params.h"
#include "harmony/message.h"

namespace gossamer::api {

/// A request to POST /v1/responses.
struct ResponsesRequest {
  std::string id;     ///< of the response that answers it
  std::string model;  ///< as the client wrote it
  Items input;
  std::optional<std::string> instructions;
  std::optional<std::string> previous_response_id;
  harmony::ReasoningEffort effort = harmony::ReasoningEffort::kMedium;
  engine::SamplingParams sampling;
  std::optional<int> max_output_tokens;
  std::optional<int> max_tool_calls;  ///< of the server's tools
  ToolRegistry tools;
  ToolSelection selection;
  std::vector<harmony::ResponseFormat> response_formats;  ///< none or one
  bool stream = false;
  bool store = true;
  bool background = false;
  bool truncates = false;          ///< "truncation": "auto"
  bool seals_reasoning = false;    ///< include has "reasoning.encrypted_content"
  bool includes_logprobs = false;  ///< include has "message.output_text.logprobs"
  std::string user;                ///< who asks, if the client says; may be empty

  /// The fields of the response object that repeat the request, in OpenAI's order.
  Json echo;

  /// What was left out or changed, for the server's log. Names fields, never quotes texts.
  std::vector<std::string> warnings;
};

/// What a server knows that a request may leave out.
struct RequestDefaults {
  std::string model;  ///< for requests that name none

  /// Namespaces of the server's tools: no tool of the client is declared under these.
  std::vector<std::string> server_namespaces;
};

/// Reads a request (parse_body's). Unknown fields are ignored, with a warning.
ApiResult<ResponsesRequest> read_responses_request(
    const Json& body, const RequestDefaults& defaults
);

/// A stored response that a request continues.
struct EarlierResponse {
  Json response;  ///< the response object
  Json input;     ///< its input items
};

/// Continues a chain of responses, oldest first: gives the items before the request's own, and
/// instructions, if it has none, from the last response.
Items continue_chain(std::span<const EarlierResponse> chain, ResponsesRequest& request);

}  // namespace gossamer::api
