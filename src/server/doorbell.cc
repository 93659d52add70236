#include "server/doorbell.h"

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace gossamer::server {

namespace asio = boost::asio;

asio::execution_context::id Doorbell::id;

Doorbell::Doorbell(asio::execution_context& context)
    : service(context), context_(static_cast<asio::io_context&>(context)) {}

Doorbell& Doorbell::of(const asio::any_io_executor& executor) {
  return asio::use_service<Doorbell>(asio::query(executor, asio::execution::context));
}

void Doorbell::ring(std::shared_ptr<Waiter> waiter) {
  {
    const std::lock_guard lock(mutex_);
    waiters_.push_back(std::move(waiter));
    if (std::exchange(is_rung_, true)) return;
  }
  asio::post(context_, [this] { answer(); });
}

void Doorbell::answer() {
  Waiters waiters;
  {
    const std::lock_guard lock(mutex_);
    waiters.swap(waiters_);
    is_rung_ = false;
  }
  for (auto waiter = waiters.begin(); waiter != waiters.end(); ++waiter) {
    try {
      asio::dispatch((*waiter)->strand(), [woken = *waiter] { woken->wake(); });
    } catch (...) {
      // What one throws is not the others' fault.
      std::for_each(waiter + 1, waiters.end(), [this](auto& other) { ring(std::move(other)); });
      throw;
    }
  }
}

void Doorbell::shutdown() {
  const std::lock_guard lock(mutex_);
  waiters_.clear();
}

}  // namespace gossamer::server
