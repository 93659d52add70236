#include "http/deadline.h"

#include <utility>

namespace gossamer::http {

using Clock = std::chrono::steady_clock;

struct Deadline::State {
  State(const boost::asio::any_io_executor& executor, std::function<void()> function)
      : timer(executor), expired(std::move(function)) {}

  boost::asio::steady_timer timer;
  std::function<void()> expired;
  Clock::time_point due = Clock::time_point::max();
  bool is_waiting = false;
};

Deadline::Deadline(const boost::asio::any_io_executor& executor, std::function<void()> expired)
    : state_(std::make_shared<State>(executor, std::move(expired))) {}

Deadline::~Deadline() {
  state_->expired = nullptr;
  state_->timer.cancel();
}

void Deadline::arm(Clock::duration patience) {
  state_->due = Clock::now() + patience;
  if (!state_->is_waiting || state_->timer.expiry() > state_->due) wait(state_);
}

void Deadline::disarm() {
  state_->due = Clock::time_point::max();
}

void Deadline::wait(const std::shared_ptr<State>& state) {
  state->is_waiting = true;
  state->timer.expires_at(state->due);
  state->timer.async_wait([state](const boost::system::error_code& error) {
    if (error || !state->expired) return;  // replaced by another wait, or over
    state->is_waiting = false;
    if (state->due == Clock::time_point::max()) return;
    if (state->due > Clock::now()) return wait(state);
    state->due = Clock::time_point::max();
    const auto expired = state->expired;
    expired();
  });
}

}  // namespace gossamer::http
