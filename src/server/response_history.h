#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "api/responses_request.h"
#include "server/service.h"

namespace gossamer::server {

/// The items that a request is about: those of the responses it continues, and its own, with
/// references to stored items replaced by the items. `request` inherits what it leaves out. Errors:
/// a response that is not there, or not done.
boost::asio::awaitable<api::ApiResult<api::Items>> find_items(
    Service& service, api::ResponsesRequest& request, std::string owner
);

/// A stored response; an error (404) when there is none of that owner.
boost::asio::awaitable<api::ApiResult<store::StoredResponse>> find_response(
    Service& service, std::string id, std::string owner
);

}  // namespace gossamer::server
