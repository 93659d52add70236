#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "kernels/cuda/expert_gemm.cuh"

namespace gossamer::kernels::cuda {

/// u sigmoid(1.702 u) (v + 1) of the clamped gate and linear part.
__device__ __forceinline__ float clamped_swiglu(float gate, float linear, float limit) {
  constexpr float kAlpha = 1.702F;
  const float u = fminf(gate, limit);
  const float v = fminf(fmaxf(linear, -limit), limit);
  return __fdividef(u, 1.0F + __expf(-kAlpha * u)) * (v + 1.0F);
}

}  // namespace gossamer::kernels::cuda
