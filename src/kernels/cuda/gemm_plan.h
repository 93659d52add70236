#pragma once

#include <cstdint>

namespace gossamer::kernels::cuda {

/// What a device has for the blocks of a product.
struct GemmDevice {
  int num_multiprocessors = 0;
  int shared_bytes_per_block = 0;  // that a block can opt in to
  bool has_bulk_copies = false;    // sm_90 and newer
};

struct GemmExtents {
  std::int64_t num_tokens = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

/// The tokens that a block takes at a time, and how.
enum class GemmTile {
  kStream8,   ///< they stay in shared memory while all rows stream by
  kStream16,  ///< the same
  kTile32,    ///< with kGemmTileRows rows, column by column
  kTile64,
  kTile128,
  kTile256,
};

inline constexpr int kGemmTileRows = 128;
inline constexpr int kGemmTileColumns = 64;  // that a tile takes at a time

constexpr int tokens_of(GemmTile tile) {
  constexpr int kTokens[] = {8, 16, 32, 64, 128, 256};
  return kTokens[static_cast<int>(tile)];
}

/// How a product is cut into blocks.
struct GemmPlan {
  GemmTile tile = GemmTile::kTile128;
  /// Blocks that share a tile, each a part of its columns; more than 1 need the scratch.
  int splits = 1;
};

/// Split tiles have at most so many tokens, and are at most so many times their splits.
inline constexpr int kMaxSplitTokens = 64;
inline constexpr int kMaxSplitParts = 512;

GemmPlan plan_gemm(const GemmExtents& extents, const GemmDevice& device);

/// Shared memory of a block that streams: its tokens, and the weights under way.
inline constexpr int kStreamThreads = 512;
inline constexpr int kStreamStages = 8;
constexpr std::int64_t stream_row_bytes(std::int64_t columns) {
  return columns * 2 + 16;  // the 16 move rows to different banks
}
constexpr std::int64_t stream_shared_bytes(int num_tokens, std::int64_t columns) {
  constexpr std::int64_t kSlots = std::int64_t{kStreamThreads} * kStreamStages * 16;
  const std::int64_t sums = std::int64_t{2} * kStreamThreads / 32 * num_tokens * 12 * 4;
  return kSlots + sums + num_tokens * stream_row_bytes(columns);
}

}  // namespace gossamer::kernels::cuda
