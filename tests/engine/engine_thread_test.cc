#include "engine/engine_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

#include "tests/engine/tiny_model.h"

namespace gossamer::engine {
namespace {

using testing::HasSubstr;

/// Collects a request's updates; any thread may wait for what it wants to see.
class Inbox {
 public:
  UpdateHandler handler() {
    return [this](const Update& update) {
      const std::lock_guard lock(mutex_);
      updates_.push_back(update);
      changed_.notify_all();
    };
  }

  /// The tokens, once the request has ended.
  std::vector<TokenId> wait_for_end() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] {
      return !updates_.empty() && (updates_.back().finish || updates_.back().error);
    });
    std::vector<TokenId> tokens;
    for (const Update& update : updates_) {
      if (update.sampled) tokens.push_back(update.sampled->token);
    }
    return tokens;
  }

  void wait_for_tokens(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return updates_.size() >= count; });
  }

  Update last() {
    const std::lock_guard lock(mutex_);
    return updates_.back();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Update> updates_;
};

class EngineThreadTest : public testing::Test {
 protected:
  static constexpr EngineOptions kOptions{
      .context_length = 256,
      .max_sequences = 4,
      .max_batch_tokens = 32,
      .kv_blocks = model::KvCacheSize{40, 40},
      .num_snapshots = 8};

  static std::unique_ptr<Generation> submit(
      EngineThread& generator, Request request, UpdateHandler handler
  ) {
    auto generation = generator.submit(std::move(request), std::move(handler));
    EXPECT_TRUE(generation.ok()) << generation.error().message;
    return std::move(generation).value();
  }

  /// Waits until the engine has nothing left, and says whether all blocks are back.
  static bool all_returned(const EngineThread& generator) {
    GeneratorStatus status = generator.status();
    while (status.num_running + status.num_waiting > 0) {
      std::this_thread::yield();
      status = generator.status();
    }
    return status.free_blocks.full_blocks == status.total_blocks.full_blocks &&
           status.free_blocks.sliding_blocks == status.total_blocks.sliding_blocks;
  }

  static Request endless(TokenId token) {
    Request request = greedy({token, 2, 3}, 1);
    request.max_tokens.reset();
    return request;
  }

  TinyModel model_;
};

TEST_F(EngineThreadTest, StreamsWhatTheEngineComputes) {
  const auto expected = run_alone(*model_.make(kOptions), greedy({1, 2, 3}, 20));
  EngineThread generator(model_.make(kOptions), {});
  Inbox inbox;
  const auto generation = submit(generator, greedy({1, 2, 3}, 20), inbox.handler());
  EXPECT_EQ(inbox.wait_for_end(), expected);
  EXPECT_EQ(inbox.last().finish, FinishReason::kLength);
  EXPECT_TRUE(all_returned(generator));
  EXPECT_EQ(generator.status().num_generated_tokens, 20U);
}

TEST_F(EngineThreadTest, RefusesAtOnceWhatTheEngineWouldRefuse) {
  EngineThread generator(model_.make(kOptions), {});
  const auto generation = generator.submit(greedy({}, 5), [](const Update&) {});
  ASSERT_FALSE(generation.ok());
  EXPECT_EQ(generation.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(EngineThreadTest, IsBusyPastItsQueueAndTakesMoreAfterwards) {
  EngineOptions options = kOptions;
  options.max_sequences = 1;
  EngineThread generator(model_.make(options), {.max_queue = 2});
  std::vector<std::unique_ptr<Generation>> generations;
  Inbox ignored;
  for (TokenId i = 0; i < 3; ++i) {
    generations.push_back(submit(generator, endless(i + 1), ignored.handler()));
  }
  const auto refused = generator.submit(endless(9), ignored.handler());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kBusy);
  EXPECT_THAT(refused.error().message, HasSubstr("3 requests are under way"));
  generations.clear();
  EXPECT_TRUE(all_returned(generator));
  Inbox inbox;
  const auto accepted = submit(generator, greedy({1}, 3), inbox.handler());
  EXPECT_EQ(inbox.wait_for_end().size(), 3U);
}

TEST_F(EngineThreadTest, DestroyingAGenerationEndsItAndNoOther) {
  const auto expected = run_alone(*model_.make(kOptions), greedy({7, 8, 9}, 60));
  EngineThread generator(model_.make(kOptions), {});
  Inbox kept;
  Inbox dropped;
  const auto generation = submit(generator, greedy({7, 8, 9}, 60), kept.handler());
  auto other = submit(generator, endless(1), dropped.handler());
  dropped.wait_for_tokens(3);
  other.reset();
  EXPECT_EQ(kept.wait_for_end(), expected);
  EXPECT_TRUE(all_returned(generator));
  EXPECT_EQ(generator.status().num_cancelled, 1U);
}

TEST_F(EngineThreadTest, DestroyingAGenerationDoesNotWaitForTheHandlersOfOthers) {
  EngineThread generator(model_.make(kOptions), {});
  std::promise<void> entered;
  std::promise<void> other_is_gone;
  Inbox ignored;
  auto other = submit(generator, endless(1), ignored.handler());
  bool first = true;
  const auto generation = submit(generator, greedy({2}, 3), [&](const Update&) {
    if (!std::exchange(first, false)) return;
    entered.set_value();
    other_is_gone.get_future().wait();
  });
  entered.get_future().wait();
  other.reset();  // the engine's thread is in the handler, and stays there
  other_is_gone.set_value();
  EXPECT_TRUE(all_returned(generator));
}

TEST_F(EngineThreadTest, AHandlerThatThrowsEndsItsRequestOnly) {
  EngineThread generator(model_.make(kOptions), {});
  const auto bad =
      submit(generator, endless(1), [](const Update&) { throw std::runtime_error("mine"); });
  Inbox inbox;
  const auto good = submit(generator, greedy({2}, 30), inbox.handler());
  EXPECT_EQ(inbox.wait_for_end().size(), 30U);
  EXPECT_TRUE(all_returned(generator));
}

/// Fails when it is asked a third time.
class FailingMask final : public TokenMask {
 public:
  void accept(TokenId /*token*/) override { ++num_tokens_; }
  bool fill(std::span<std::uint64_t> /*allowed*/) const override {
    if (num_tokens_ == 2) throw std::runtime_error("the device is lost");
    return false;
  }

 private:
  int num_tokens_ = 0;
};

TEST_F(EngineThreadTest, AnEngineThatFailsEndsEveryRequestAndRefusesMore) {
  EngineThread generator(model_.make(kOptions), {});
  Inbox one;
  Inbox two;
  const auto first = submit(generator, endless(1), one.handler());
  Request failing = endless(2);
  failing.mask = std::make_shared<FailingMask>();
  const auto second = submit(generator, std::move(failing), two.handler());
  one.wait_for_end();
  two.wait_for_end();
  ASSERT_TRUE(one.last().error);
  EXPECT_EQ(one.last().error->code, ErrorCode::kIo);
  EXPECT_THAT(one.last().error->message, HasSubstr("the device is lost"));
  EXPECT_TRUE(two.last().error);
  const auto refused = generator.submit(endless(1), one.handler());
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("the device is lost"));
  EXPECT_EQ(generator.status().num_running, 0);
  ASSERT_TRUE(generator.status().failure);
  EXPECT_THAT(generator.status().failure->message, HasSubstr("the device is lost"));
}

TEST_F(EngineThreadTest, ItsEndIsEveryRequestsEnd) {
  Inbox running;
  Inbox waiting;
  std::vector<std::unique_ptr<Generation>> generations;
  {
    EngineOptions options = kOptions;
    options.max_sequences = 1;
    EngineThread generator(model_.make(options), {});
    generations.push_back(submit(generator, endless(1), running.handler()));
    generations.push_back(submit(generator, endless(2), waiting.handler()));
    running.wait_for_tokens(1);
  }
  running.wait_for_end();
  EXPECT_TRUE(waiting.wait_for_end().empty());
  EXPECT_THAT(waiting.last().error->message, HasSubstr("shutting down"));
}

TEST_F(EngineThreadTest, ManyThreadsSubmitAndHangUpAndLeaveNothingBehind) {
  const auto expected = run_alone(*model_.make(kOptions), greedy({5, 6, 7}, 12));
  EngineThread generator(model_.make(kOptions), {.max_queue = 1000});
  constexpr int kThreads = 4;
  constexpr int kRequests = 30;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<std::uint32_t>(t));
      for (int i = 0; i < kRequests; ++i) {
        std::atomic<bool> gone = false;
        std::atomic<int> late = 0;
        Inbox inbox;
        auto generation = submit(
            generator,
            greedy({5, 6, 7}, 12),
            [&, record = inbox.handler()](const Update& u) {
              if (gone) ++late;
              record(u);
            }
        );
        if (random() % 2 == 0) {
          EXPECT_EQ(inbox.wait_for_end(), expected);
        } else if (random() % 2 == 0) {
          inbox.wait_for_tokens(1 + random() % 5);
        }
        generation.reset();
        gone = true;
        EXPECT_EQ(late, 0);
        generator.status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(all_returned(generator));
  EXPECT_EQ(generator.status().num_waiting, 0);
}

}  // namespace
}  // namespace gossamer::engine
