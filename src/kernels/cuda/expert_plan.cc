#include "kernels/cuda/expert_plan.h"

#include <algorithm>

namespace gossamer::kernels::cuda {

int expert_tile_pairs(std::int64_t num_pairs, int num_experts) {
  constexpr int kSizes[] = {32, 64};
  constexpr int kLargest = 128;
  // Measured: up to 6 pairs an expert, two small tiles for some are faster than a large one for
  // all.
  if (num_pairs <= 6 * std::int64_t{num_experts}) return kExpertStreamPairs;
  for (const int size : kSizes) {
    if (2 * num_pairs <= std::int64_t{size - 4} * num_experts) return size;
  }
  return kLargest;
}

std::int64_t max_expert_tiles(std::int64_t num_pairs, int num_experts) {
  return std::min<std::int64_t>(num_pairs, num_experts) +
         num_pairs / expert_tile_pairs(num_pairs, num_experts);
}

}  // namespace gossamer::kernels::cuda
