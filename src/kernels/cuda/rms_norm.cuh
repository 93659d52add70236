#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "tensor/dtype.h"

namespace gossamer::kernels::cuda {

/// y[t] = x[t] / sqrt(mean(x[t]^2) + eps) * scale, rounded once, to y's dtype.
struct RmsNormArgs {
  const float* x;              // [num_tokens, hidden_size]
  const __nv_bfloat16* scale;  // [hidden_size]
  float eps;
  void* y;                // [num_tokens, hidden_size]
  tensor::DType y_dtype;  // kBF16 or kF32
  int num_tokens;
  int hidden_size;
};

void launch_rms_norm(const RmsNormArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
