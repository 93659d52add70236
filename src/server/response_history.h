#pragma once

#include <boost/asio/awaitable.hpp>
#include <ctime>
#include <string>

#include "api/responses_request.h"
#include "server/service.h"

namespace gossamer::server {

/// What a request is about.
struct History {
  api::Items items;   ///< those of the responses it continues, and its own, references replaced
  std::time_t began;  ///< when the first of these responses was made; now
};

/// `request` inherits what it leaves out. Errors: a response that is not there, or not done.
boost::asio::awaitable<api::ApiResult<History>> find_history(
    Service& service, api::ResponsesRequest& request, std::string owner
);

/// A stored response; an error (404) when there is none of that owner.
boost::asio::awaitable<api::ApiResult<store::StoredResponse>> find_response(
    Service& service, std::string id, std::string owner
);

}  // namespace gossamer::server
