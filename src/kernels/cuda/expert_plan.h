#pragma once

#include <cstdint>

namespace gossamer::kernels::cuda {

/// The most pairs that a tile of a product over experts has, for a step of so many pairs. It is
/// at least twice, and a few more, of what an expert gets when all get the same, so that most
/// experts need one tile: with few pairs, each tile reads its expert's weights from memory.
int expert_tile_pairs(std::int64_t num_pairs, int num_experts);

/// The most tiles that a step of so many pairs can have.
std::int64_t max_expert_tiles(std::int64_t num_pairs, int num_experts);

/// Tiles of at most so many pairs stay in shared memory while all rows of an expert stream by.
inline constexpr int kMaxExpertStreamPairs = 32;

constexpr std::int64_t expert_stream_row_bytes(std::int64_t columns) {
  return (columns + 63) / 64 * 64 * 2 + 16;  // the 16 move rows to different banks
}
constexpr std::int64_t expert_stream_shared_bytes(int tile_pairs, std::int64_t columns) {
  return tile_pairs * expert_stream_row_bytes(columns);
}

}  // namespace gossamer::kernels::cuda
