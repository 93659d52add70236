#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace gossamer {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, RunsEveryTaskExactlyOnce) {
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

TEST_P(ThreadPoolTest, SeesTheWritesOfTheLoopBefore) {
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

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolTest, testing::Values(1, 2, 3, 8));

}  // namespace
}  // namespace gossamer
