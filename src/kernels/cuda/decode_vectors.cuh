#pragma once

// What the consumers of the persistent decode step do together: wait, add up, store vectors.

#include "kernels/cuda/decode_block.cuh"
#include "kernels/cuda/ptx/grid_sync.cuh"
#include "kernels/cuda/ptx/named_barrier.cuh"

namespace gossamer::kernels::cuda {

/// Waits until a count has reached its target, and all consumers are here.
__device__ inline void wait_for_count(const unsigned* count, int target) {
  ptx::named_barrier(kConsumerBarrier, kConsumers);
  if (threadIdx.x == 0) {
    while (ptx::load_relaxed(count) < static_cast<unsigned>(target)) {
    }
  }
  ptx::named_barrier(kConsumerBarrier, kConsumers);
}

__device__ inline void group_barrier(int group) {
  ptx::named_barrier(kFirstGroupBarrier + group, 32 * kWarpsPerGroup);
}

/// A group's barrier, then the sum of its warps' partial results of row `lane`, in lanes below
/// `rows`.
__device__ inline float sum_partials(
    const float (&partials)[kWarpsPerGroup][kTileRows], int rows, int group, int lane
) {
  group_barrier(group);
  float total = 0;
  if (lane < rows) {
#pragma unroll
    for (int warp = 0; warp < kWarpsPerGroup; ++warp) total += partials[warp][lane];
  }
  return total;
}

/// A thread's pairs of a vector of `columns` in shared memory as operand B. Columns past the end,
/// up to what the packed weights have, are zeros.
__device__ inline void store_pairs(
    std::byte* fragments, int columns, const float2 (&pairs)[kVectorPairs]
) {
  const int padded = static_cast<int>(round_up(columns, kPackedColumnAlign));
  const int part = fragment_part_bytes(columns);
  const int first = 2 * static_cast<int>(threadIdx.x);
  const int offset = fragment_offset(first);
#pragma unroll
  for (int i = 0; i < kVectorPairs; ++i) {
    const int column = first + i * 2 * kConsumers;
    if (column >= padded) break;
    const bool inside = column < columns;
    store_fragment(
        fragments,
        part,
        offset + i * fragment_stride<kConsumers>(),
        inside ? pairs[i].x : 0.0F,
        inside ? pairs[i].y : 0.0F
    );
  }
}

/// This thread's pairs times the norm's weights and a factor.
__device__ inline void scale_pairs(
    float2 (&pairs)[kVectorPairs], const float2 (&weights)[kVectorPairs], float factor
) {
#pragma unroll
  for (int i = 0; i < kVectorPairs; ++i) {
    pairs[i].x *= weights[i].x * factor;
    pairs[i].y *= weights[i].y * factor;
  }
}

}  // namespace gossamer::kernels::cuda
