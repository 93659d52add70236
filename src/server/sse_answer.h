#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "http/exchange.h"

namespace gossamer::server {

/// An answer made of server-sent events, on the exchange's strand. The exchange outlives it.
class SseAnswer {
 public:
  explicit SseAnswer(http::Exchange& exchange) : exchange_(exchange) {}

  /// What the next flush will send: events are appended.
  std::string& bytes() { return bytes_; }

  /// Sends the events. The first flush begins the answer.
  boost::asio::awaitable<void> flush();

  /// Whether the answer was begun: from then on it has no other status than 200.
  bool has_begun() const { return has_begun_; }

 private:
  boost::asio::awaitable<void> begin();
  boost::asio::awaitable<void> send();

  http::Exchange& exchange_;
  std::string bytes_;
  bool has_begun_ = false;
};

}  // namespace gossamer::server
