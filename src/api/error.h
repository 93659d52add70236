#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace gossamer::api {

using Json = nlohmann::ordered_json;

/// An error as OpenAI's clients know it.
struct ApiError {
  int status = 400;                            ///< HTTP
  std::string type = "invalid_request_error";  ///< or "server_error", "rate_limit_error", …
  std::string code;   ///< e.g. "context_length_exceeded"; null on the wire when empty
  std::string param;  ///< path of the field, e.g. "input[2].content"; null when empty
  std::string message;
};

template <class T>
using ApiResult = Result<T, ApiError>;

/// JSON on one line. What is not UTF-8 in it, a client's own strings, becomes U+FFFD.
std::string to_text(const Json& json);

/// {"error": {"message", "type", "param", "code"}}
Json to_json(const ApiError& error);

/// A wrong request: status 400.
ApiError invalid_request(std::string param, std::string message);

/// What an Error of the engine or the harmony folder means to a client: kContextFull is 400 with
/// context_length_exceeded, kBusy is 429, kInvalidArgument 400, the rest 500.
ApiError from_error(const Error& error);

}  // namespace gossamer::api
