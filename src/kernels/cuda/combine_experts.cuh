#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

/// x[t] += sum_j weights[t, j] * y[t * experts_per_token + j], in the order of j.
struct CombineExpertsArgs {
  const float* y;        // [num_tokens * experts_per_token, hidden_size]
  const float* weights;  // [num_tokens, experts_per_token]
  float* x;              // [num_tokens, hidden_size]
  int num_tokens;
  int experts_per_token;
  int hidden_size;
};

void launch_combine_experts(const CombineExpertsArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
