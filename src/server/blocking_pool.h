#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include "server/mailbox.h"

namespace gossamer::server {

/// Threads for work that blocks.
class BlockingPool {
 public:
  explicit BlockingPool(int num_threads) : pool_(static_cast<std::size_t>(num_threads)) {}
  ~BlockingPool() { pool_.stop(); }
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  /// Runs work(stop_token) on a thread of the pool while the coroutine waits, and returns what it
  /// returned; nothing when that took longer than `patience`. The stop token is set when the
  /// patience ends or the coroutine is cancelled; the work then ends unobserved, so it must own
  /// what it uses. What the work throws, this throws.
  template <class Work>
  auto run(Work work, std::chrono::seconds patience)
      -> boost::asio::awaitable<std::optional<decltype(work(std::stop_token()))>>;

 private:
  boost::asio::thread_pool pool_;
};

template <class Work>
auto BlockingPool::run(Work work, std::chrono::seconds patience)
    -> boost::asio::awaitable<std::optional<decltype(work(std::stop_token()))>> {
  namespace asio = boost::asio;
  using Value = decltype(work(std::stop_token()));
  struct State {
    explicit State(const asio::any_io_executor& executor) : done(executor) {}
    asio::steady_timer done;  // cancelled when value is set, both on the coroutine's strand
    std::optional<Value> value;
    std::exception_ptr thrown;  // instead of a value
  };
  struct StopAtExit {
    std::stop_source source;
    ~StopAtExit() { source.request_stop(); }
  };
  const auto executor = co_await asio::this_coro::executor;
  const auto state = std::make_shared<State>(executor);
  const StopAtExit stop;
  state->done.expires_after(patience);
  asio::post(
      pool_,
      [state, executor, token = stop.source.get_token(), work = std::move(work)]() mutable {
        // Whatever leaves a thread of the pool would be the end of the process.
        std::optional<Value> value;
        std::exception_ptr thrown;
        try {
          value.emplace(work(token));
        } catch (...) {
          thrown = std::current_exception();
        }
        asio::post(executor, [state, value = std::move(value), thrown]() mutable {
          state->value = std::move(value);
          state->thrown = std::move(thrown);
          state->done.cancel();
        });
      }
  );
  co_await state->done.async_wait(asio::as_tuple(asio::use_awaitable));
  const auto cancellation = co_await asio::this_coro::cancellation_state;
  throw_if_cancelled(cancellation);
  if (state->thrown) std::rethrow_exception(state->thrown);
  co_return std::move(state->value);
}

}  // namespace gossamer::server
