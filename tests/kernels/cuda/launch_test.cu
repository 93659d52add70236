#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "kernels/cuda/devices.h"

namespace gossamer::kernels::cuda {
namespace {

constexpr std::uint32_t kCount = 1000;

/// values[i] = i * i
__global__ void square_indices(std::uint32_t* values, std::uint32_t count) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) values[i] = i * i;
}

void expect_runs_kernels(const CudaDevice& device) {
  ASSERT_EQ(cudaSetDevice(device.ordinal), cudaSuccess);
  std::uint32_t* values = nullptr;
  ASSERT_EQ(cudaMalloc(&values, kCount * sizeof(*values)), cudaSuccess);
  square_indices<<<(kCount + 127) / 128, 128>>>(values, kCount);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess)
      << "compute capability " << device.compute_major << "." << device.compute_minor;
  std::vector<std::uint32_t> copied(kCount);
  EXPECT_EQ(
      cudaMemcpy(copied.data(), values, kCount * sizeof(*values), cudaMemcpyDeviceToHost),
      cudaSuccess
  );
  for (std::uint32_t i = 0; i < kCount; ++i) EXPECT_EQ(copied[i], i * i);
  EXPECT_EQ(cudaFree(values), cudaSuccess);
}

TEST(CudaLaunchTest, EveryListedDeviceRunsAKernelOfThisBuild) {
  const auto devices = list_cuda_devices();
  if (!devices.ok()) GTEST_SKIP() << devices.error().message;
  for (const CudaDevice& device : *devices) expect_runs_kernels(device);
}

}  // namespace
}  // namespace gossamer::kernels::cuda
