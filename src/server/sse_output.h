#pragma once

#include <boost/asio/awaitable.hpp>
#include <span>
#include <string>
#include <utility>

#include "api/error.h"
#include "http/exchange.h"
#include "http/sse.h"

namespace gossamer::server {

/// The chunks of Chat Completions and Completions as server-sent events without names. The stream
/// begins with its first chunks. One coroutine.
class SseOutput {
 public:
  explicit SseOutput(http::Exchange& exchange) : exchange_(exchange) {}

  bool has_begun() const { return has_begun_; }

  /// Sends chunks; with none, a comment: a sign of life.
  boost::asio::awaitable<void> send(std::span<const api::Json> chunks) {
    if (!std::exchange(has_begun_, true)) co_await exchange_.begin_stream(http::kEventStream);
    std::string bytes;
    for (const api::Json& chunk : chunks) http::append_sse_event(bytes, "", api::to_text(chunk));
    if (chunks.empty()) http::append_sse_comment(bytes, "working");
    co_await exchange_.send(std::move(bytes));
  }

  /// Closes the stream.
  boost::asio::awaitable<void> end() {
    std::string bytes;
    http::append_sse_event(bytes, "", "[DONE]");
    co_await exchange_.send(std::move(bytes));
    co_await exchange_.end_stream();
  }

 private:
  http::Exchange& exchange_;
  bool has_begun_ = false;
};

}  // namespace gossamer::server
