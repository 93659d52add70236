#include "kernels/cuda/devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gossamer::kernels::cuda {
namespace {

using testing::HasSubstr;

TEST(CudaDevicesTest, ListsDevicesOrSaysWhyThereAreNone) {
  const auto devices = list_cuda_devices();
  if (!devices.ok()) {
    EXPECT_FALSE(devices.error().message.empty());
    return;
  }
  ASSERT_FALSE(devices->empty());
  int ordinal = 0;
  for (const CudaDevice& device : *devices) {
    EXPECT_EQ(device.ordinal, ordinal++);
    EXPECT_FALSE(device.name.empty());
    EXPECT_GE(device.compute_major, 5);
    EXPECT_GT(device.memory_bytes, std::uint64_t{1} << 28U);
  }
}

TEST(CudaDevicesTest, ABuildWithoutCudaSaysSo) {
  if (!cuda_version().empty()) {
    EXPECT_THAT(cuda_version(), testing::MatchesRegex("[0-9]+\\.[0-9]+"));
    return;
  }
  const auto devices = list_cuda_devices();
  ASSERT_FALSE(devices.ok());
  EXPECT_THAT(devices.error().message, HasSubstr("built without CUDA"));
}

}  // namespace
}  // namespace gossamer::kernels::cuda
