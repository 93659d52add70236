#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <span>

#include "api/error.h"
#include "http/exchange.h"
#include "server/service.h"

namespace gossamer::server {

/// Where the chunks of Chat Completions and Completions go, as they come; none of them is a sign of
/// life.
using ChunkOutput = std::function<boost::asio::awaitable<void>(std::span<const api::Json>)>;

/// Makes an answer, chunk by chunk. An error before the first chunk means that nothing was begun.
using ChunkSource = std::function<boost::asio::awaitable<api::ApiResult<void>>(const ChunkOutput&)>;

/// Answers with the chunks as server-sent events without names, and `[DONE]` after them.
boost::asio::awaitable<void> answer_stream(
    Service& service, http::Exchange& exchange, const ChunkSource& source
);

/// Answers with one object: each chunk goes to `collect`, and `object` is asked for when all is
/// there.
boost::asio::awaitable<void> answer_whole(
    Service& service,
    http::Exchange& exchange,
    const ChunkSource& source,
    const std::function<void(const api::Json&)>& collect,
    const std::function<api::Json()>& object
);

}  // namespace gossamer::server
