#pragma once

#include <string>

#include "http/exchange.h"
#include "http/response_head.h"
#include "http/writer.h"

namespace gossamer::http {

/// The exchange of a connection: writes the answer as HTTP.
class LiveExchange final : public Exchange {
 public:
  /// What the answer depends on; all of it outlives the exchange.
  struct Setting {
    const Request& request;
    Writer& writer;
    boost::asio::any_io_executor executor;
    const Headers& headers;  ///< of every answer to this request
    int version = 11;
    bool keep_alive = true;
  };

  explicit LiveExchange(Setting setting) : setting_(std::move(setting)) {}

  const Request& request() const override { return setting_.request; }
  boost::asio::any_io_executor executor() override { return setting_.executor; }
  boost::asio::awaitable<void> reply(
      int status, std::string_view content_type, std::string body, Headers headers
  ) override;
  boost::asio::awaitable<void> begin_stream(std::string_view content_type, Headers headers)
      override;
  boost::asio::awaitable<void> send(std::string_view bytes) override;
  boost::asio::awaitable<void> end_stream() override;

  /// Whether anything was sent, and whether it was everything.
  bool has_begun() const { return state_ != State::kNothing; }
  bool is_complete() const { return state_ == State::kComplete; }
  int status() const { return status_; }
  /// Whether another request may follow on this connection.
  bool keep_alive() const { return setting_.keep_alive; }

 private:
  enum class State { kNothing, kReplying, kStreaming, kComplete };
  void append_part(std::string_view bytes);
  bool is_head_only() const { return setting_.request.method == "HEAD"; }

  Setting setting_;
  State state_ = State::kNothing;
  Framing framing_ = Framing::kLength;
  int status_ = 0;
  std::string part_;  // of the stream, being sent
};

}  // namespace gossamer::http
