#include "server/sse_answer.h"

#include <utility>

#include "http/sse.h"

namespace gossamer::server {

namespace asio = boost::asio;

asio::awaitable<void> SseAnswer::flush() {
  return std::exchange(has_begun_, true) ? send() : begin();
}

asio::awaitable<void> SseAnswer::begin() {
  co_await exchange_.begin_stream(http::kEventStream);
  co_await send();
}

asio::awaitable<void> SseAnswer::send() {
  auto sent = exchange_.send(bytes_);
  bytes_.clear();
  return sent;
}

}  // namespace gossamer::server
