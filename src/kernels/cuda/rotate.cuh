#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

/// Rotates pairs (i, i + 32) of every head in place.
struct RotateArgs {
  const float* table;  // [num_tokens, 64]: cosines, then sines
  __nv_bfloat16* x;    // [num_tokens, num_heads, 64]
  int num_tokens;
  int num_heads;
};

void launch_rotate(const RotateArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
