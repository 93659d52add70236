#pragma once

#include <cstdint>
#include <initializer_list>

namespace gossamer::kernels::cuda {

/// The most pairs that a tile of a product over experts has, for a step of so many pairs: enough
/// that with few pairs most experts need one tile, which reads their weights from memory once.
int expert_tile_pairs(std::int64_t num_pairs, int num_experts);

/// The most tiles that a step of so many pairs can have.
std::int64_t max_expert_tiles(std::int64_t num_pairs, int num_experts);

// Tiles of at most so many pairs can stay in shared memory while all rows of an expert stream by.
// Beside them, a block has stages of weights for each of its warps, and the warps' sums.
inline constexpr int kMaxExpertStreamPairs = 16;
inline constexpr int kExpertStreamStages = 8;
inline constexpr int kExpertStreamFewStages = 4;
inline constexpr int kExpertStreamStepBytes = 544;

constexpr std::int64_t expert_stream_row_bytes(std::int64_t columns) {
  return (columns + 63) / 64 * 64 * 2 + 16;  // the 16 move rows to different banks
}
constexpr std::int64_t expert_stream_shared_bytes(
    int tile_pairs, int stages, std::int64_t columns
) {
  constexpr int kWarps = 16;
  constexpr std::int64_t kSumBytes = 80;  // of a pair: 16 rows, and 4 for the banks
  return kWarps * (std::int64_t{stages} * kExpertStreamStepBytes + kSumBytes * 2 * tile_pairs) +
         tile_pairs * expert_stream_row_bytes(columns);
}

/// How many stages fit beside a tile, kExpertStreamStages or kExpertStreamFewStages; 0 when the
/// tile cannot stay in shared memory.
constexpr int expert_stream_stages(
    int tile_pairs, std::int64_t columns, std::int64_t shared_bytes_per_block
) {
  if (tile_pairs > kMaxExpertStreamPairs) return 0;
  for (const int stages : {kExpertStreamStages, kExpertStreamFewStages}) {
    const std::int64_t bytes = expert_stream_shared_bytes(tile_pairs, stages, columns);
    if (bytes <= shared_bytes_per_block - 1024) return stages;  // 1024: what is not dynamic
  }
  return 0;
}

}  // namespace gossamer::kernels::cuda
