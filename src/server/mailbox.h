#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "http/deadline.h"
#include "server/doorbell.h"

namespace gossamer::server {

/// After so long without news a waiting client is given a sign of life.
inline constexpr std::chrono::seconds kHeartbeat{10};

/// Throws boost::system::system_error (operation_aborted) when the coroutine whose state it is was
/// cancelled, for places that an ended wait does not tell.
inline void throw_if_cancelled(const boost::asio::cancellation_state& state) {
  if (state.cancelled() != boost::asio::cancellation_type::none) {
    throw boost::system::system_error(boost::asio::error::operation_aborted);
  }
}

template <class T>
class Mailbox;

/// Where other threads put values for a coroutine. Shared, and may outlive the mailbox behind it.
template <class T>
class MailSlot final : public Doorbell::Waiter, public std::enable_shared_from_this<MailSlot<T>> {
 public:
  /// Made by the mailbox.
  MailSlot(const boost::asio::any_io_executor& strand, Mailbox<T>& receiver)
      : Waiter(strand), doorbell_(Doorbell::of(strand)), receiver_(&receiver) {}

  /// Any thread.
  void push(T value) {
    {
      const std::lock_guard lock(mutex_);
      pending_.push_back(std::move(value));
      if (pending_.size() > 1) return;  // woken already
    }
    ring();
  }

 private:
  friend class Mailbox<T>;

  void ring() { doorbell_.ring(this->shared_from_this()); }

  void wake() override {
    if (receiver_ != nullptr) receiver_->wake();
  }

  /// Gives what is pending for what was taken before: the memory goes to and fro.
  void take(std::vector<T>& taken) {
    taken.clear();
    const std::lock_guard lock(mutex_);
    taken.swap(pending_);
  }

  Doorbell& doorbell_;
  std::mutex mutex_;
  std::vector<T> pending_;  // guarded by mutex_
  Mailbox<T>* receiver_;    // null when it is gone; on the strand
};

/// Brings values from any thread to one coroutine, on whose strand it lives. What arrives while the
/// coroutine is busy is handed over together.
template <class T>
class Mailbox {
 public:
  explicit Mailbox(const boost::asio::any_io_executor& strand)
      : slot_(std::make_shared<MailSlot<T>>(strand, *this)), patience_(strand, [this] {
          is_late_ = true;
          wake();
        }) {}
  ~Mailbox() { slot_->receiver_ = nullptr; }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  const std::shared_ptr<MailSlot<T>>& slot() const { return slot_; }

  /// What came since the last call: waits for something, and returns nothing after `patience`.
  /// Valid until the next call.
  boost::asio::awaitable<std::span<const T>> next(std::chrono::milliseconds patience) {
    is_late_ = false;
    while (true) {
      slot_->take(arrived_);
      if (!arrived_.empty() || is_late_) co_return arrived_;
      // What arrives from here on wakes a wait that has begun: both are on the strand.
      patience_.arm(patience);
      auto token = boost::asio::use_awaitable;
      co_await boost::asio::async_initiate<decltype(token), void()>(
          [this](auto handler) { begin_wait(std::move(handler)); }, token
      );
      const auto state = co_await boost::asio::this_coro::cancellation_state;
      throw_if_cancelled(state);
    }
  }

 private:
  friend class MailSlot<T>;

  template <class Handler>
  void begin_wait(Handler handler) {
    cancellation_ = boost::asio::get_associated_cancellation_slot(handler);
    resume_ = [shared = std::make_shared<Handler>(std::move(handler))] { std::move (*shared)(); };
    if (!cancellation_.is_connected()) return;
    // Not at once: the coroutine goes on to replace what is being called.
    cancellation_.assign([slot = slot_](boost::asio::cancellation_type) { slot->ring(); });
  }

  /// Goes on with the coroutine, if it waits.
  void wake() {
    if (!resume_) return;
    patience_.disarm();
    cancellation_.clear();
    std::exchange(resume_, nullptr)();
  }

  std::shared_ptr<MailSlot<T>> slot_;
  http::Deadline patience_;
  std::vector<T> arrived_;
  bool is_late_ = false;
  std::function<void()> resume_;  // the coroutine that waits
  boost::asio::cancellation_slot cancellation_;
};

}  // namespace gossamer::server
