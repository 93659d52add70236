#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

/// y[k] = u sigmoid(1.702 u) (v + 1), u = min(x[2k], limit), v = clamp(x[2k + 1], -limit, limit).
struct SwigluArgs {
  const float* x;  // [size, 2]
  float limit;
  __nv_bfloat16* y;  // [size]
  std::int64_t size;
};

void launch_swiglu(const SwigluArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
