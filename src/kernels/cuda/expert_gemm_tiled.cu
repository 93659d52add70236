// Products over experts in tiles of 128 rows and up to 128 pairs.
//
// The work is a list of (tile of pairs, 128 rows), by tile; block b takes every gridDim.x-th of
// it, so that blocks that run together share tokens. Weights are unpacked by each warp that needs
// them, while the tensor cores work. Bound by the tensor cores; for few pairs by reading weights.

#include <algorithm>

#include "kernels/cuda/expert_kernels.cuh"
#include "kernels/cuda/expert_output.cuh"
#include "kernels/cuda/expert_plan.h"
#include "kernels/cuda/gemm_output.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/product_tile.cuh"
#include "kernels/cuda/unpacked_tile.cuh"
#include "kernels/cuda/weight_tiles.cuh"

namespace gossamer::kernels::cuda {
namespace {

/// Stores the products of rows row to row + 3 for a pair.
template <ExpertGemmOutput kOutput>
__device__ __forceinline__ void store_quad(
    const ExpertGemmArgs& args, int expert, std::int32_t pair, int row, float4 sums
) {
  const float4 values = sums + biases_at(args.bias, std::int64_t{expert} * args.rows + row);
  const std::int64_t index = std::int64_t{pair} * args.rows + row;
  if constexpr (kOutput == ExpertGemmOutput::kSwiglu) {
    reinterpret_cast<__nv_bfloat162*>(args.y)[index / 4] = __floats2bfloat162_rn(
        clamped_swiglu(values.x, values.y, args.swiglu_limit),
        clamped_swiglu(values.z, values.w, args.swiglu_limit)
    );
  } else {
    reinterpret_cast<float4*>(args.y)[index / 4] = values;
  }
}

/// The tiles of up to so many pairs. Warps of the smaller ones have rows of their own, and unpack
/// them for themselves; those of the larger ones share what the block unpacks.
template <int kPairs>
struct TileFor;
template <>
struct TileFor<32> {
  using Tile = ProductTile<32, 4, 1, 6>;
  static constexpr int kMinBlocks = 3;
  static constexpr bool kShared = false;
};
template <>
struct TileFor<64> {
  using Tile = ProductTile<64, 4, 1, 6>;
  static constexpr int kMinBlocks = 2;
  static constexpr bool kShared = false;
};
template <>
struct TileFor<128> {
  using Tile = ProductTile<128, 2, 2, 3>;
  static constexpr int kMinBlocks = 2;
  static constexpr bool kShared = true;
};
template <>
struct TileFor<256> {
  using Tile = ProductTile<256, 2, 4, 4>;
  static constexpr int kMinBlocks = 1;
  static constexpr bool kShared = true;
};

/// One entry of the work list.
struct Item {
  ExpertTile tile;
  const std::int32_t* pairs;  // the tile's
  int first_row;

  __device__ Item(const ExpertGemmArgs& args, int item, int row_tiles)
      : tile(args.groups.tiles[item / row_tiles]),
        pairs(args.groups.pairs + tile.begin),
        first_row(item % row_tiles * kTileRows) {}

  static constexpr int kTileRows = 128;
};

/// Makes an item's products. kActive of each warp's token tiles have pairs.
template <class Config, ExpertGemmOutput kOutput, int kActive, bool kLargeScales>
__device__ __forceinline__ void take_item(
    const ExpertGemmArgs& args,
    const Item& item,
    const Fp4WeightSource<typename Config::Tile>& weights,
    std::byte* shared,
    std::uint32_t* offsets
) {
  using Tile = typename Config::Tile;
  const int steps = (args.columns + Tile::kColumns - 1) / Tile::kColumns;
  const TokenSource<Tile>
      tokens(args.x, args.columns, args.columns, item.tile.count, offsets, [&](int token) {
        return item.pairs[token] / args.pairs_per_row;
      });
  TileSums<Tile> sums = {};
  if constexpr (Config::kShared) {
    multiply_unpacked_tile<Tile, kActive, kLargeScales>(weights, tokens, steps, shared, sums);
  } else {
    multiply_tile<Tile, kActive>(
        Fp4WeightTile<Tile, kLargeScales>(weights), tokens, 0, steps, shared, sums
    );
  }
  for_each_output<Tile, kActive>(shared, sums, [&](int token, int tile_row, float4 values) {
    const int row = item.first_row + tile_row;
    if (token >= item.tile.count || row >= args.rows) return;
    store_quad<kOutput>(args, item.tile.expert, item.pairs[token], row, values);
  });
  __syncthreads();
}

/// take_item() for the number of token tiles that a warp has, at most kActive of them, rounded up
/// to quarters of the tile.
template <class Config, ExpertGemmOutput kOutput, int kActive>
__device__ __forceinline__ void take_active(
    const ExpertGemmArgs& args,
    const Item& item,
    const Fp4WeightSource<typename Config::Tile>& weights,
    int active,
    std::byte* shared,
    std::uint32_t* offsets
) {
  constexpr int kLess = kActive - Config::Tile::kTokenTiles / 4;
  if constexpr (kLess > 0) {
    if (active <= kLess) {
      return take_active<Config, kOutput, kLess>(args, item, weights, active, shared, offsets);
    }
  }
  take_item<Config, kOutput, kActive, false>(args, item, weights, shared, offsets);
}

template <class Config, ExpertGemmOutput kOutput>
__global__ void __launch_bounds__(Config::Tile::kThreads, Config::kMinBlocks)
    expert_gemm_tiled_kernel(ExpertGemmArgs args) {
  using Tile = typename Config::Tile;
  static_assert(Tile::kRows == Item::kTileRows);
  extern __shared__ uint4 shared_memory[];
  __shared__ std::uint32_t offsets[Tile::kTokens];
  auto* const shared = reinterpret_cast<std::byte*>(shared_memory);
  const int row_tiles = (args.rows + Tile::kRows - 1) / Tile::kRows;
  const int num_items = *args.groups.num_tiles * row_tiles;
#pragma unroll 1
  for (int i = static_cast<int>(blockIdx.x); i < num_items; i += static_cast<int>(gridDim.x)) {
    const Item item(args, i, row_tiles);
    const Fp4WeightSource<Tile> weights(
        args.weight + item.tile.expert * packed_fp4_bytes(args.rows, args.columns),
        item.first_row,
        args.rows,
        args.columns
    );
    if (weights.has_large_scales()) {
      take_item<Config, kOutput, Tile::kTokenTiles, true>(args, item, weights, shared, offsets);
      continue;
    }
    constexpr int kTokensAtOnce = 8 * Tile::kTokenWarps;
    const int active = (item.tile.count + kTokensAtOnce - 1) / kTokensAtOnce;
    take_active<Config, kOutput, Tile::kTokenTiles>(args, item, weights, active, shared, offsets);
  }
}

template <class Config>
constexpr int shared_bytes() {
  using Tile = typename Config::Tile;
  if constexpr (Config::kShared) {
    return UnpackedTileMemory<Tile>::kBytes;
  } else {
    return Tile::kStages * (Fp4WeightSource<Tile>::kStageBytes + Tile::kTokenStageBytes);
  }
}

template <class Config>
void launch(const ExpertGemmArgs& args, const GemmDevice& device, cudaStream_t stream) {
  using Tile = typename Config::Tile;
  const auto kernel = args.output == ExpertGemmOutput::kSwiglu
                          ? expert_gemm_tiled_kernel<Config, ExpertGemmOutput::kSwiglu>
                          : expert_gemm_tiled_kernel<Config, ExpertGemmOutput::kF32>;
  constexpr int kSharedBytes = shared_bytes<Config>();
  check(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes),
      "cudaFuncSetAttribute"
  );
  const std::int64_t most_items = max_expert_tiles(args.num_pairs, args.num_experts) *
                                  ((args.rows + Tile::kRows - 1) / Tile::kRows);
  const auto num_blocks = static_cast<unsigned>(std::min<std::int64_t>(
      most_items, std::int64_t{device.num_multiprocessors} * Config::kMinBlocks
  ));
  kernel<<<num_blocks, Tile::kThreads, kSharedBytes, stream>>>(args);
  check(cudaGetLastError(), "expert_gemm_tiled_kernel");
}

}  // namespace

void launch_expert_gemm_tiled(
    const ExpertGemmArgs& args, int tile_pairs, const GemmDevice& device, cudaStream_t stream
) {
  if (tile_pairs <= 32) return launch<TileFor<32>>(args, device, stream);
  if (tile_pairs <= 64) return launch<TileFor<64>>(args, device, stream);
  if (tile_pairs <= 128) return launch<TileFor<128>>(args, device, stream);
  launch<TileFor<256>>(args, device, stream);
}

}  // namespace gossamer::kernels::cuda
