#include "kernels/cuda/gemm_plan.h"

#include <algorithm>

namespace gossamer::kernels::cuda {
namespace {

constexpr std::int64_t kMinSplitSteps = 8;  // fewer do not fill a block's pipeline
constexpr int kBlocksPerMultiprocessor = 2;

std::int64_t blocks_for(std::int64_t size, std::int64_t tile) {
  return (size + tile - 1) / tile;
}

std::int64_t num_tiles(const GemmExtents& extents, GemmTile tile) {
  return blocks_for(extents.rows, kGemmTileRows) * blocks_for(extents.num_tokens, tokens_of(tile));
}

bool streams(const GemmExtents& extents, GemmTile tile, const GemmDevice& device) {
  return extents.num_tokens <= tokens_of(tile) &&
         stream_shared_bytes(tokens_of(tile), extents.columns) <= device.shared_bytes_per_block;
}

/// Few tiles leave multiprocessors idle: their columns are shared out until they would not.
int splits_for(const GemmExtents& extents, GemmTile tile, const GemmDevice& device) {
  const std::int64_t tiles = num_tiles(extents, tile);
  const std::int64_t blocks = std::int64_t{device.num_multiprocessors} * kBlocksPerMultiprocessor;
  const std::int64_t steps = blocks_for(extents.columns, kGemmTileColumns);
  const std::int64_t most =
      std::min({steps / kMinSplitSteps, kMaxSplitParts / tiles, blocks / tiles});
  return static_cast<int>(std::max<std::int64_t>(1, most));
}

}  // namespace

GemmPlan plan_gemm(const GemmExtents& extents, const GemmDevice& device) {
  for (const GemmTile tile : {GemmTile::kStream8, GemmTile::kStream16}) {
    if (streams(extents, tile, device)) return {.tile = tile};
  }
  for (const GemmTile tile : {GemmTile::kTile32, GemmTile::kTile64}) {
    if (extents.num_tokens <= tokens_of(tile)) {
      return {.tile = tile, .splits = splits_for(extents, tile, device)};
    }
  }
  return {.tile = GemmTile::kTile128};
}

}  // namespace gossamer::kernels::cuda
