#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <mutex>
#include <vector>

namespace gossamer::server {

/// Wakes coroutines from other threads, all of an io_context's by one post: a step of the engine
/// has news for every running request at once, and to wake a thread costs more than the news.
class Doorbell final : public boost::asio::execution_context::service {
 public:
  class Waiter {
   public:
    /// `strand` is where it is woken.
    explicit Waiter(boost::asio::any_io_executor strand) : strand_(std::move(strand)) {}
    virtual ~Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    virtual void wake() = 0;

    const boost::asio::any_io_executor& strand() const { return strand_; }

   private:
    boost::asio::any_io_executor strand_;
  };

  static boost::asio::execution_context::id id;

  /// Made by boost::asio::use_service.
  explicit Doorbell(boost::asio::execution_context& context);

  /// The one of the executor's io_context.
  static Doorbell& of(const boost::asio::any_io_executor& executor);

  /// Any thread. The waiter is woken on its strand, soon.
  void ring(std::shared_ptr<Waiter> waiter);

 private:
  using Waiters = std::vector<std::shared_ptr<Waiter>>;

  void shutdown() override;
  void answer();

  boost::asio::io_context& context_;
  std::mutex mutex_;
  Waiters waiters_;       // guarded by mutex_, as is the next
  bool is_rung_ = false;  // somebody is on the way to answer
};

}  // namespace gossamer::server
