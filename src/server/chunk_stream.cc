#include "server/chunk_stream.h"

#include <optional>
#include <utility>

#include "server/endpoints.h"

namespace gossamer::server {

namespace asio = boost::asio;

asio::awaitable<void> answer_stream(
    Service& service,
    http::Exchange& exchange,
    SseAnswer& answer,
    asio::awaitable<api::ApiResult<void>> chunks
) {
  std::optional<api::ApiError> failure;
  const auto done = co_await unless_stopped(service, std::move(chunks));
  if (!done) {
    failure = server_stopping();
  } else if (!done->ok()) {
    failure = done->error();
  }
  if (failure && !answer.has_begun()) {
    co_await reply_error(service, exchange, *failure);
    co_return;
  }
  if (failure) http::append_sse_event(answer.bytes(), "", api::to_text(api::to_json(*failure)));
  http::append_sse_event(answer.bytes(), "", "[DONE]");
  co_await answer.flush();
  co_await exchange.end_stream();
}

asio::awaitable<void> answer_whole(
    Service& service,
    http::Exchange& exchange,
    asio::awaitable<api::ApiResult<void>> chunks,
    const std::function<api::Json()>& object
) {
  const auto done = co_await std::move(chunks);
  if (!done.ok()) {
    co_await reply_error(service, exchange, done.error());
    co_return;
  }
  const api::Json body = object();
  co_await reply_json(exchange, 200, body);
}

}  // namespace gossamer::server
