#pragma once

#include <optional>

#include "api/chat_completions_request.h"
#include "api/error.h"
#include "http/exchange.h"
#include "server/router.h"
#include "server/service.h"

namespace gossamer::server {

// Each adds its routes. The service outlives the router.
void add_response_routes(Router& router, Service& service);
void add_chat_routes(Router& router, Service& service);
void add_completion_routes(Router& router, Service& service);
void add_model_routes(Router& router, Service& service);
void add_status_routes(Router& router, Service& service);

/// What a chat request leaves to the server.
api::ChatDefaults chat_defaults(const Service& service, const ServedModel& model);

/// A mistake of the server's; the log says which.
api::ApiError server_failed();

/// What was asked is cut off because the server ends.
api::ApiError server_stopping();

/// Makes an answer; nothing when it was cut off because the server ends. What then remains to be
/// said is not cut off.
boost::asio::awaitable<std::optional<api::ApiResult<void>>> unless_stopped(
    Service& service, boost::asio::awaitable<api::ApiResult<void>> answer
);

/// Answers with JSON.
boost::asio::awaitable<void> reply_json(
    http::Exchange& exchange, int status, const api::Json& body
);

/// Answers with an error: the client's, or ours, which is logged.
boost::asio::awaitable<void> reply_error(
    Service& service, http::Exchange& exchange, const api::ApiError& error
);

}  // namespace gossamer::server
