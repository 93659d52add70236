#include "kernels/cuda/read_bandwidth.h"

#include <gtest/gtest.h>

#include "kernels/cuda/devices.h"

namespace gossamer::kernels::cuda {
namespace {

TEST(CudaReadBandwidthTest, IsThatOfMemoryAndNotOfTheCache) {
  const auto devices = list_cuda_devices();
  if (!devices.ok()) GTEST_SKIP() << devices.error().message;
  const auto rate = measure_read_bandwidth(0, std::size_t{2} << 30U, 5);
  ASSERT_TRUE(rate.ok()) << rate.error().message;
  EXPECT_GT(*rate, 50e9);
  EXPECT_LT(*rate, 20e12);
  RecordProperty("gb_per_second", static_cast<int>(*rate / 1e9));
}

}  // namespace
}  // namespace gossamer::kernels::cuda
