#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace gossamer {
namespace {

std::atomic<bool> is_held{false};
std::atomic<bool> may_go{false};

/// Keeps the thread that gets the signal from running, as another program on its core would.
void hold_thread(int /*signal*/) {
  is_held = true;
  while (!may_go) {
  }
}

class ThreadPoolSizes : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolSizes, RunsEveryTaskExactlyOnce) {
  ThreadPool pool(GetParam());
  for (const std::size_t num_tasks : {0, 1, 2, 3, 17, 1000}) {
    std::vector<std::atomic<int>> runs(num_tasks);
    pool.run(num_tasks, [&](std::size_t task, int thread) {
      ASSERT_GE(thread, 0);
      ASSERT_LT(thread, pool.num_threads());
      ++runs[task];
    });
    for (const auto& count : runs) EXPECT_EQ(count, 1);
  }
}

TEST_P(ThreadPoolSizes, SeesTheWritesOfTheLoopBefore) {
  ThreadPool pool(GetParam());
  std::vector<int> values(64, 0);
  for (int round = 0; round < 2000; ++round) {
    pool.run(values.size(), [&](std::size_t task, int) {
      const std::size_t other = (task * 7 + 3) % values.size();
      if (round % 2 == 0) {
        values[task] = round;
      } else {
        EXPECT_EQ(values[other], round - 1);
      }
    });
  }
}

TEST_P(ThreadPoolSizes, WhatATaskThrowsReachesTheCaller) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> begun{0};
    const auto loop = [&] {
      pool.run(1000, [&](std::size_t task, int) {
        ++begun;
        if (task == 5 || task == 6) throw std::runtime_error("task " + std::to_string(task));
      });
    };
    EXPECT_THROW(loop(), std::runtime_error);
    // With more threads, who throws may be kept from it until the others have done all the rest.
    if (GetParam() == 1) {
      EXPECT_EQ(begun, 6);
    }
    std::atomic<int> done{0};
    pool.run(50, [&](std::size_t, int) { ++done; });
    EXPECT_EQ(done, 50);
  }
}

TEST(ThreadPoolTest, AThreadBeginsWithItsShare) {
  ThreadPool pool(2);
  std::vector<std::size_t> first(2, 100);
  std::atomic<int> arrived{0};
  pool.run(10, [&](std::size_t task, int thread) {
    std::size_t& mine = first[static_cast<std::size_t>(thread)];
    if (mine != 100) return;
    mine = task;
    ++arrived;
    while (arrived < 2) std::this_thread::yield();  // until both have begun
  });
  EXPECT_EQ(first, (std::vector<std::size_t>{0, 5}));
}

TEST(ThreadPoolTest, ALoopDoesWithoutAWorkerThatIsNotRunning) {
  ThreadPool pool(2);
  std::atomic<int> arrived{0};
  pthread_t worker{};
  pool.run(2, [&](std::size_t, int thread) {
    if (thread == 1) worker = ::pthread_self();
    ++arrived;
    while (arrived < 2) std::this_thread::yield();  // one task for each thread
  });
  const auto previous = std::signal(SIGUSR1, hold_thread);
  ASSERT_EQ(::pthread_kill(worker, SIGUSR1), 0);
  while (!is_held) std::this_thread::yield();
  std::vector<int> threads(100, -1);
  pool.run(threads.size(), [&](std::size_t task, int thread) { threads[task] = thread; });
  EXPECT_EQ(threads, std::vector<int>(100, 0));
  may_go = true;
  std::signal(SIGUSR1, previous);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolSizes, testing::Values(1, 2, 3, 8));

}  // namespace
}  // namespace gossamer
