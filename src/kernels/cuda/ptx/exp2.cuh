#pragma once

namespace gossamer::kernels::cuda::ptx {

/// 2^x, within 2 units in the last place; 0 for minus infinity.
__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace gossamer::kernels::cuda::ptx
