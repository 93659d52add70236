#include "server/chunk_stream.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/sse.h"
#include "server/endpoints.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

std::string to_sse(std::span<const api::Json> chunks) {
  std::string bytes;
  for (const api::Json& chunk : chunks) http::append_sse_event(bytes, "", api::to_text(chunk));
  if (chunks.empty()) http::append_sse_comment(bytes, "working");
  return bytes;
}

}  // namespace

asio::awaitable<void> answer_stream(
    Service& service, http::Exchange& exchange, const ChunkSource& source
) {
  bool has_begun = false;
  const ChunkOutput output = [&](std::span<const api::Json> chunks) -> asio::awaitable<void> {
    if (!std::exchange(has_begun, true)) co_await exchange.begin_stream(http::kEventStream);
    std::string bytes = to_sse(chunks);
    co_await exchange.send(std::move(bytes));
  };
  std::optional<api::ApiError> failure;
  auto answer = source(output);
  const auto done = co_await unless_stopped(service, std::move(answer));
  if (!done) {
    failure = server_stopping();
  } else if (!done->ok()) {
    failure = done->error();
  }
  if (failure && !has_begun) {
    co_await reply_error(service, exchange, *failure);
    co_return;
  }
  if (failure) {
    const std::vector<api::Json> error(1, api::to_json(*failure));
    co_await output(error);
  }
  std::string bytes;
  http::append_sse_event(bytes, "", "[DONE]");
  co_await exchange.send(std::move(bytes));
  co_await exchange.end_stream();
}

asio::awaitable<void> answer_whole(
    Service& service,
    http::Exchange& exchange,
    const ChunkSource& source,
    const std::function<void(const api::Json&)>& collect,
    const std::function<api::Json()>& object
) {
  const ChunkOutput output = [&](std::span<const api::Json> chunks) -> asio::awaitable<void> {
    for (const api::Json& chunk : chunks) collect(chunk);
    co_return;
  };
  const auto done = co_await source(output);
  if (!done.ok()) {
    co_await reply_error(service, exchange, done.error());
    co_return;
  }
  const api::Json body = object();
  co_await reply_json(exchange, 200, body);
}

}  // namespace gossamer::server
