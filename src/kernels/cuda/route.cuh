#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

/// The experts of each token, best first (ties: lowest index), and the softmax over their logits.
struct RouteArgs {
  const float* logits;       // [num_tokens, num_experts]
  std::int32_t* expert_ids;  // [num_tokens, experts_per_token]
  float* expert_weights;     // [num_tokens, experts_per_token]
  int num_tokens;
  int num_experts;        // at most kMaxRoutedExperts
  int experts_per_token;  // at most num_experts, and 32
};

inline constexpr int kMaxRoutedExperts = 256;

void launch_route(const RouteArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
