#pragma once

#include <map>
#include <string>

#include "api/error.h"
#include "api/responses_input.h"
#include "chat/turn.h"

namespace gossamer::api {

/// {"input_tokens", "input_tokens_details": {"cached_tokens"}, …}
Json usage_json(const chat::TurnUsage& usage);

/// The answer to DELETE /v1/responses/{id}.
Json deleted_response(const std::string& id);

/// A page of input items, for GET /v1/responses/{id}/input_items. Of the query it reads limit (1 to
/// 100, default 20), order (asc or desc, the default), after and before (ids).
ApiResult<Json> list_input_items(
    const Json& items, const std::map<std::string, std::string>& query
);

/// No such response: 404.
ApiError response_not_found(const std::string& id);

/// The request continues a response that is not there: 400.
ApiError previous_response_not_found(const std::string& id);

/// Only responses made in the background can be called off: 400.
ApiError not_cancellable(const std::string& id);

}  // namespace gossamer::api
