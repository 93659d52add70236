#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http/stream.h"

namespace gossamer::http {

/// What a client sends, read ahead of its use: that is how a hang-up is noticed while a handler
/// works, and requests that come early wait here. Holds about `capacity` bytes, and reads on when
/// some are consumed. On the connection's strand.
class Input {
 public:
  enum class Event { kBytes, kEnd, kTimeout };

  /// `ended` is called once, when the client has sent its last byte or is gone.
  Input(
      const boost::asio::any_io_executor& executor,
      Stream& stream,
      std::size_t capacity,
      std::function<void()> ended
  );

  /// The reading; runs beside everything else, until the end or stop(). To be spawned with slot().
  boost::asio::awaitable<void> run();
  boost::asio::cancellation_slot slot() { return cancel_.slot(); }
  void stop();

  std::string_view bytes() const { return std::string_view(buffer_).substr(begin_); }
  void consume(std::size_t num_bytes);
  bool is_full() const { return bytes().size() >= capacity_; }
  bool has_ended() const { return has_ended_; }

  /// Waits until there are more bytes than there were.
  boost::asio::awaitable<Event> wait_for_more(std::chrono::steady_clock::time_point deadline);

  /// Forgets what comes until the client ends, or stop() has taken effect.
  boost::asio::awaitable<void> drop_the_rest();

 private:
  boost::asio::awaitable<void> read_on();
  void accept(std::size_t num_bytes);

  Stream& stream_;
  const std::size_t capacity_;
  std::function<void()> ended_;
  boost::asio::cancellation_signal cancel_;
  boost::asio::steady_timer changed_;  // cancelled when bytes or the end have come
  boost::asio::steady_timer room_;     // cancelled when there may be room
  std::vector<char> chunk_;
  std::string buffer_;
  std::size_t begin_ = 0;  // of what is not consumed
  std::size_t num_received_ = 0;
  bool is_dropping_ = false;
  bool has_ended_ = false;
};

}  // namespace gossamer::http
