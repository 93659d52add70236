#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

/// x += y.
struct AddArgs {
  const float* y;  // [size]
  float* x;        // [size]
  std::int64_t size;
};

void launch_add(const AddArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
