#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace gossamer::server {

/// After so long without news a waiting client is given a sign of life.
inline constexpr std::chrono::seconds kHeartbeat{10};

/// Throws boost::system::system_error (operation_aborted) when the coroutine was cancelled, for
/// places that an ended wait does not tell.
inline boost::asio::awaitable<void> throw_if_cancelled() {
  const auto state = co_await boost::asio::this_coro::cancellation_state;
  if (state.cancelled() != boost::asio::cancellation_type::none) {
    throw boost::system::system_error(boost::asio::error::operation_aborted);
  }
}

/// Carries values from any thread to one coroutine. What arrives while the coroutine is busy is
/// handed over together. Senders share it: it may outlive the coroutine.
template <class T>
class Mailbox : public std::enable_shared_from_this<Mailbox<T>> {
 public:
  /// `executor` is the coroutine's strand.
  static std::shared_ptr<Mailbox> create(const boost::asio::any_io_executor& executor) {
    return std::shared_ptr<Mailbox>(new Mailbox(executor));
  }

  /// Any thread.
  void push(T value) {
    {
      const std::lock_guard lock(mutex_);
      pending_.push_back(std::move(value));
      if (pending_.size() > 1) return;  // woken already
    }
    boost::asio::post(arrival_.get_executor(), [self = this->shared_from_this()] {
      self->arrival_.cancel();
    });
  }

  /// What came since the last call: waits for something, and returns nothing after `patience`.
  boost::asio::awaitable<std::vector<T>> next(std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
      {
        const std::lock_guard lock(mutex_);
        std::vector<T> arrived;
        arrived.swap(pending_);
        if (!arrived.empty()) co_return arrived;
      }
      // What arrives from here on is announced by a cancel that runs after the wait has begun:
      // both are on the strand.
      arrival_.expires_at(deadline);
      const auto [error] =
          co_await arrival_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      co_await throw_if_cancelled();
      if (!error) co_return std::vector<T>();
    }
  }

 private:
  explicit Mailbox(const boost::asio::any_io_executor& executor) : arrival_(executor) {}

  std::mutex mutex_;
  std::vector<T> pending_;             // guarded by mutex_
  boost::asio::steady_timer arrival_;  // cancelled, on its executor, when something arrives
};

}  // namespace gossamer::server
