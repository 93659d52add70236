#include "server/mailbox.h"

#include <gtest/gtest.h>

#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <thread>

#include "server/blocking_pool.h"

namespace gossamer::server {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::minutes;

class MailboxTest : public testing::Test {
 protected:
  void run(asio::awaitable<void> coroutine, asio::cancellation_slot slot = {}) {
    asio::co_spawn(
        strand_,
        std::move(coroutine),
        asio::bind_cancellation_slot(
            slot,
            [this](const std::exception_ptr& thrown) {
              thrown_ = thrown;
              context_.stop();  // what waits for patience to end does not matter any more
            }
        )
    );
    context_.run();
  }

  asio::io_context context_;
  asio::any_io_executor strand_ = asio::make_strand(context_);
  std::exception_ptr thrown_;
};

TEST_F(MailboxTest, EveryValueOfAnotherThreadArrivesOnceAndInOrder) {
  constexpr int kCount = 100000;
  Mailbox<int> mailbox(strand_);
  std::thread sender([slot = mailbox.slot()] {
    for (int i = 0; i < kCount; ++i) slot->push(i);
  });
  std::vector<int> received;
  const auto receive = [&]() -> asio::awaitable<void> {
    while (received.size() < kCount) {
      const auto values = co_await mailbox.next(minutes(1));
      received.insert(received.end(), values.begin(), values.end());
    }
  };
  run(receive());
  sender.join();
  ASSERT_EQ(received.size(), static_cast<std::size_t>(kCount));
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(received[static_cast<std::size_t>(i)], i);
}

TEST(Doorbell, WakesEveryCoroutineThatHasNews) {
  constexpr int kCount = 2000;
  constexpr std::size_t kReceivers = 32;
  asio::io_context context;
  std::array<std::shared_ptr<MailSlot<int>>, kReceivers> slots;
  std::array<std::vector<int>, kReceivers> received;
  const auto receive = [&](std::size_t i) -> asio::awaitable<void> {
    Mailbox<int> mailbox(co_await asio::this_coro::executor);
    slots[i] = mailbox.slot();
    while (received[i].size() < kCount) {
      const auto values = co_await mailbox.next(minutes(1));
      received[i].insert(received[i].end(), values.begin(), values.end());
    }
  };
  for (std::size_t i = 0; i < kReceivers; ++i) {
    asio::co_spawn(asio::make_strand(context), receive(i), asio::detached);
  }
  context.poll();  // until all wait
  std::thread sender([&slots] {
    for (int value = 0; value < kCount; ++value) {
      for (const auto& slot : slots) slot->push(value);
    }
  });
  std::thread other([&] { context.run(); });
  context.run();
  other.join();
  sender.join();
  for (const auto& values : received) {
    ASSERT_EQ(values.size(), static_cast<std::size_t>(kCount));
    for (int i = 0; i < kCount; ++i) ASSERT_EQ(values[static_cast<std::size_t>(i)], i);
  }
}

TEST_F(MailboxTest, PatienceEnds) {
  Mailbox<int> mailbox(strand_);
  bool is_empty = false;
  const auto receive = [&]() -> asio::awaitable<void> {
    is_empty = (co_await mailbox.next(milliseconds(1))).empty();
  };
  run(receive());
  EXPECT_TRUE(is_empty);
}

TEST_F(MailboxTest, ACancelledWaitThrows) {
  Mailbox<int> mailbox(strand_);
  asio::cancellation_signal signal;
  const auto receive = [&]() -> asio::awaitable<void> {
    asio::post(strand_, [&] { signal.emit(asio::cancellation_type::terminal); });
    co_await mailbox.next(minutes(1));
    ADD_FAILURE() << "the wait went on";
  };
  run(receive(), signal.slot());
  ASSERT_NE(thrown_, nullptr);
  EXPECT_THROW(std::rethrow_exception(thrown_), boost::system::system_error);
}

TEST_F(MailboxTest, WorkOfThePoolComesBackToTheStrand) {
  BlockingPool pool(2);
  std::optional<int> value;
  const auto work = [&]() -> asio::awaitable<void> {
    auto job = [](const std::stop_token&) { return 42; };
    value = co_await pool.run(job, minutes(1));
  };
  run(work());
  EXPECT_EQ(value, 42);
}

TEST_F(MailboxTest, WhatWorkOfThePoolThrowsReachesWhoWaitsForIt) {
  BlockingPool pool(1);
  const auto work = [&]() -> asio::awaitable<void> {
    auto job = [](const std::stop_token&) -> int { throw std::runtime_error("the disk is gone"); };
    co_await pool.run(job, minutes(1));
    ADD_FAILURE() << "the work was done";
  };
  run(work());
  ASSERT_NE(thrown_, nullptr);
  EXPECT_THROW(std::rethrow_exception(thrown_), std::runtime_error);
}

TEST_F(MailboxTest, WorkThatHangsIsToldToStop) {
  BlockingPool pool(1);
  std::atomic<bool> was_told = false;
  std::optional<int> value = 1;
  const auto work = [&]() -> asio::awaitable<void> {
    auto job = [&was_told](const std::stop_token& stop) {
      while (!stop.stop_requested()) std::this_thread::yield();
      was_told = true;
      return 1;
    };
    value = co_await pool.run(job, std::chrono::seconds(0));
  };
  run(work());
  EXPECT_EQ(value, std::nullopt);
  while (!was_told) std::this_thread::yield();
}

}  // namespace
}  // namespace gossamer::server
