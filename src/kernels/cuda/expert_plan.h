#pragma once

#include <cstdint>

#include "kernels/cuda/gemm_plan.h"
#include "kernels/cuda/packed_weights.h"

namespace gossamer::kernels::cuda {

/// The most pairs that a tile of a product over experts has, for a step of so many pairs: enough
/// that with few pairs most experts need one tile, which reads their weights from memory once.
int expert_tile_pairs(std::int64_t num_pairs, int num_experts);

/// The most tiles that a step of so many pairs can have.
std::int64_t max_expert_tiles(std::int64_t num_pairs, int num_experts);

// A tile of at most so many pairs can stay in shared memory while all rows of an expert stream by:
// the columns of one mma, and with more of them a tile that takes its columns in steps is faster.
inline constexpr int kExpertStreamPairs = 8;

constexpr std::int64_t expert_stream_row_bytes(std::int64_t columns) {
  return (columns + 63) / 64 * 64 * 2 + 16;  // the 16 move rows to different banks
}

// Weights come through stages of each of the 16 warps; beside them lie the warps' sums.
inline constexpr int kExpertStreamStages = 8;
inline constexpr std::int64_t kExpertStreamStepBytes = 544;

constexpr std::int64_t expert_stream_shared_bytes(std::int64_t columns) {
  constexpr int kWarps = 16;
  constexpr std::int64_t kSumBytes = 80;  // of a pair: 16 rows, and 4 for the banks
  return kWarps *
             (kExpertStreamStages * kExpertStreamStepBytes + kSumBytes * 2 * kExpertStreamPairs) +
         kExpertStreamPairs * expert_stream_row_bytes(columns);
}

// Or through a ring of stages that all warps share, each 16 rows of weights. The warps form groups,
// which take the stages in turn: a group has one that it multiplies, and one that comes.
inline constexpr int kExpertRingGroups = 3;
inline constexpr int kExpertRingGroupWarps = 5;
inline constexpr int kExpertRingStages = 2 * kExpertRingGroups;
/// Two buffers of each group for the sums of all of its warps but one, 16 rows each.
inline constexpr int kExpertRingSumBytes =
    2 * kExpertRingGroups * (kExpertRingGroupWarps - 1) * kExpertStreamPairs * 16 * 4;

constexpr std::int64_t expert_ring_shared_bytes(std::int64_t columns) {
  return std::int64_t{2} * kExpertRingStages * fp4_record_bytes(columns) + kExpertRingSumBytes +
         kExpertStreamPairs * expert_stream_row_bytes(columns);
}

/// Kernels for products over experts.
enum class ExpertKernel {
  kRing,    ///< expert_gemm_ring.cu
  kStream,  ///< expert_gemm_stream.cu
  kTiled,   ///< expert_gemm_tiled.cu
};

/// Whether a kernel can take tiles of at most so many pairs.
constexpr bool can_run(
    ExpertKernel kernel, int tile_pairs, std::int64_t columns, const GemmDevice& device
) {
  const std::int64_t room = device.shared_bytes_per_block - 1024;  // 1024: what is not dynamic
  switch (kernel) {
    case ExpertKernel::kRing:
      return tile_pairs == kExpertStreamPairs && device.has_bulk_copies &&
             expert_ring_shared_bytes(columns) <= room;
    case ExpertKernel::kStream:
      return tile_pairs == kExpertStreamPairs && expert_stream_shared_bytes(columns) <= room;
    case ExpertKernel::kTiled:
      return true;
  }
  return false;
}

}  // namespace gossamer::kernels::cuda
