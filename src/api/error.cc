#include "api/error.h"

#include <utility>

namespace gossamer::api {
namespace {

Json or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

}  // namespace

std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const ApiError& error) {
  return {
      {"error",
       {{"message", error.message},
        {"type", error.type},
        {"param", or_null(error.param)},
        {"code", or_null(error.code)}}}};
}

ApiError invalid_request(std::string param, std::string message) {
  return {.param = std::move(param), .message = std::move(message)};
}

ApiError from_error(const Error& error) {
  switch (error.code) {
    case ErrorCode::kContextFull:
      return {.code = "context_length_exceeded", .param = "input", .message = error.message};
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
      return {.message = error.message};
    case ErrorCode::kNotFound:
      return {.status = 404, .code = "not_found", .message = error.message};
    case ErrorCode::kBusy:
      return {
          .status = 429,
          .type = "rate_limit_error",
          .code = "server_busy",
          .message = error.message};
    default:
      return {.status = 500, .type = "server_error", .message = error.message};
  }
}

}  // namespace gossamer::api
