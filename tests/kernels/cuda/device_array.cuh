#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "kernels/cuda/devices.h"
#include "kernels/cuda/memory.cuh"

/// Skips the test on a machine without a CUDA device.
#define GOSSAMER_SKIP_WITHOUT_CUDA()                           \
  if (const auto devices = list_cuda_devices(); !devices.ok()) \
  GTEST_SKIP() << devices.error().message

namespace gossamer::kernels::cuda {

/// Values on the device, for a test: uploaded, or poisoned with bytes 0xFF (bf16 and float NaN, the
/// index -1), and guarded by as many poisoned bytes behind them.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t size) : size_(size) {
    auto buffer = DeviceBuffer::allocate(size * sizeof(T) + kGuardBytes);
    GOSSAMER_CHECK(buffer.ok());
    buffer_ = std::move(buffer).value();
    check(cudaMemset(buffer_->data(), 0xFF, buffer_->size_bytes()), "cudaMemset");
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    check(
        cudaMemcpy(data(), values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy"
    );
  }

  T* data() const { return reinterpret_cast<T*>(buffer_->data()); }
  std::size_t size() const { return size_; }

  /// The values, after all that was launched before. Nothing must have written behind them.
  std::vector<T> download() const {
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    std::vector<T> values(size_);
    check(
        cudaMemcpy(values.data(), data(), size_ * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy"
    );
    std::vector<unsigned char> guard(kGuardBytes);
    check(
        cudaMemcpy(guard.data(), data() + size_, kGuardBytes, cudaMemcpyDeviceToHost), "cudaMemcpy"
    );
    for (const unsigned char byte : guard) {
      if (byte == 0xFF) continue;
      ADD_FAILURE() << "something was written behind the " << size_ << " values";
      break;
    }
    return values;
  }

 private:
  static constexpr std::size_t kGuardBytes = 256;

  std::size_t size_;
  std::unique_ptr<DeviceBuffer> buffer_;
};

}  // namespace gossamer::kernels::cuda
