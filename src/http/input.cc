#include "http/input.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

namespace gossamer::http {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {

// An idle connection holds the smaller one; a large body is read with the larger one.
constexpr std::size_t kSmallChunk = 4 << 10;
constexpr std::size_t kLargeChunk = 64 << 10;

}  // namespace

Input::Input(
    const asio::any_io_executor& executor,
    Stream& stream,
    std::size_t capacity,
    std::function<void()> ended
)
    : stream_(stream),
      capacity_(capacity),
      ended_(std::move(ended)),
      changed_(executor),
      room_(executor),
      chunk_(kSmallChunk) {}

asio::awaitable<void> Input::run() {
  try {
    co_await read_on();
  } catch (const boost::system::system_error&) {
    // Cancelled by stop().
  }
  has_ended_ = true;
  changed_.cancel();
  ended_();
}

asio::awaitable<void> Input::read_on() {
  boost::system::error_code error;
  while (!error) {
    if (is_full() && !is_dropping_) {
      boost::system::error_code ignored;
      auto token = asio::redirect_error(asio::use_awaitable, ignored);
      room_.expires_at(Clock::time_point::max());
      co_await room_.async_wait(token);
      continue;
    }
    const Transfer transfer = co_await stream_.read_some(asio::buffer(chunk_));
    accept(transfer.num_bytes);
    error = transfer.error;
  }
}

void Input::accept(std::size_t num_bytes) {
  if (num_bytes == 0) return;
  if (!is_dropping_) buffer_.append(chunk_.data(), num_bytes);
  num_received_ += num_bytes;
  if (num_bytes == chunk_.size()) {
    chunk_.resize(kLargeChunk);
  } else if (num_bytes < kSmallChunk && chunk_.size() > kSmallChunk) {
    chunk_.resize(kSmallChunk);
    chunk_.shrink_to_fit();
  }
  changed_.cancel();
}

void Input::stop() {
  cancel_.emit(asio::cancellation_type::terminal);
}

void Input::consume(std::size_t num_bytes) {
  begin_ += num_bytes;
  if (begin_ == buffer_.size()) {
    begin_ = 0;
    buffer_.clear();
    // What a large request needed is not kept for the next one.
    if (buffer_.capacity() > 2 * kLargeChunk) buffer_.shrink_to_fit();
  } else if (begin_ >= kLargeChunk) {
    buffer_.erase(0, std::exchange(begin_, 0));
  }
  room_.cancel();
}

asio::awaitable<Input::Event> Input::wait_for_more(Clock::time_point deadline) {
  const std::size_t num_before = num_received_;
  while (num_received_ == num_before && !has_ended_) {
    if (Clock::now() >= deadline) co_return Event::kTimeout;
    boost::system::error_code ignored;
    auto token = asio::redirect_error(asio::use_awaitable, ignored);
    changed_.expires_at(deadline);
    co_await changed_.async_wait(token);
  }
  co_return num_received_ != num_before ? Event::kBytes : Event::kEnd;
}

asio::awaitable<void> Input::drop_the_rest() {
  is_dropping_ = true;
  buffer_.clear();
  begin_ = 0;
  room_.cancel();
  while (!has_ended_) co_await wait_for_more(Clock::time_point::max());
}

}  // namespace gossamer::http
