#include "kernels/cpu/read_bandwidth.h"

#include <gtest/gtest.h>

namespace gossamer::kernels::cpu {
namespace {

TEST(ReadBandwidthTest, IsAPlausibleRate) {
  ThreadPool pool(2);
  const auto rate = measure_read_bandwidth(pool, std::size_t{64} << 20U, 2);
  ASSERT_TRUE(rate.ok()) << rate.error().message;
  EXPECT_GT(*rate, 1e7);
  EXPECT_LT(*rate, 1e14);
}

TEST(ReadBandwidthTest, ABufferThatNoMemoryHoldsIsAnError) {
  ThreadPool pool(1);
  const auto rate = measure_read_bandwidth(pool, std::size_t{1} << 60U, 1);
  ASSERT_FALSE(rate.ok());
  EXPECT_EQ(rate.error().code, ErrorCode::kOutOfMemory);
}

}  // namespace
}  // namespace gossamer::kernels::cpu
