#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>

namespace gossamer::kernels::cuda {

inline constexpr int kMaxRopePairs = 64;

/// table[t] = concentration * (cos(p f_0), ..., cos(p f_{h-1}), sin(p f_0), ...), p = positions[t].
struct RopeTableArgs {
  const std::int32_t* positions;  // [num_tokens]
  float* table;                   // [num_tokens, 2 * num_pairs]
  int num_tokens;
  int num_pairs;  // at most kMaxRopePairs
  double concentration;
  std::array<double, kMaxRopePairs> inverse_frequencies;  // the first num_pairs are used
};

void launch_rope_table(const RopeTableArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
