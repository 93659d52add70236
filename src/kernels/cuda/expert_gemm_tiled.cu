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

template <class Tile, int kMinBlocks, ExpertGemmOutput kOutput>
__global__ void __launch_bounds__(Tile::kThreads, kMinBlocks)
    expert_gemm_tiled_kernel(ExpertGemmArgs args) {
  extern __shared__ uint4 shared_memory[];
  auto* const shared = reinterpret_cast<std::byte*>(shared_memory);
  const int row_tiles = (args.rows + Tile::kRows - 1) / Tile::kRows;
  const int num_items = *args.groups.num_tiles * row_tiles;
  const int steps = (args.columns + Tile::kColumns - 1) / Tile::kColumns;
  const TileLane<Tile> place;
#pragma unroll 1
  for (int item = static_cast<int>(blockIdx.x); item < num_items;
       item += static_cast<int>(gridDim.x)) {
    const ExpertTile tile = args.groups.tiles[item / row_tiles];
    const int first_row = item % row_tiles * Tile::kRows;
    const std::int32_t* pairs = args.groups.pairs + tile.begin;
    const Fp4WeightTile<Tile> weights(
        args.weight + tile.expert * packed_fp4_bytes(args.rows, args.columns),
        first_row,
        args.rows,
        args.columns
    );
    const TokenSource<Tile> tokens(args.x, args.columns, args.columns, tile.count, [&](int token) {
      return pairs[token] / args.pairs_per_row;
    });
    const int token_tiles = (tile.count + 7) / 8;
    const int active =
        max(0, token_tiles - place.token_warp + Tile::kTokenWarps - 1) / Tile::kTokenWarps;
    TileSums<Tile> sums = {};
    multiply_tile<Tile>(weights, tokens, 0, steps, active, shared, sums);
    for_each_output<Tile>(shared, sums, active, [&](int token, int row, float4 values) {
      if (token >= tile.count || first_row + row >= args.rows) return;
      store_quad<kOutput>(args, tile.expert, pairs[token], first_row + row, values);
    });
    __syncthreads();
  }
}

template <class Tile, int kMinBlocks>
void launch(const ExpertGemmArgs& args, const GemmDevice& device, cudaStream_t stream) {
  constexpr int kSharedBytes =
      Tile::kStages * (Fp4WeightTile<Tile>::kStageBytes + Tile::kTokenStageBytes);
  const auto kernel = args.output == ExpertGemmOutput::kSwiglu
                          ? expert_gemm_tiled_kernel<Tile, kMinBlocks, ExpertGemmOutput::kSwiglu>
                          : expert_gemm_tiled_kernel<Tile, kMinBlocks, ExpertGemmOutput::kF32>;
  check(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes),
      "cudaFuncSetAttribute"
  );
  const std::int64_t most_items = max_expert_tiles(args.num_pairs, args.num_experts) *
                                  ((args.rows + Tile::kRows - 1) / Tile::kRows);
  const auto num_blocks = static_cast<unsigned>(
      std::min<std::int64_t>(most_items, std::int64_t{device.num_multiprocessors} * kMinBlocks)
  );
  kernel<<<num_blocks, Tile::kThreads, kSharedBytes, stream>>>(args);
  check(cudaGetLastError(), "expert_gemm_tiled_kernel");
}

}  // namespace

void launch_expert_gemm_tiled(
    const ExpertGemmArgs& args, int tile_pairs, const GemmDevice& device, cudaStream_t stream
) {
  if (tile_pairs <= 32) return launch<ProductTile<32, 4, 1, 6>, 2>(args, device, stream);
  if (tile_pairs <= 64) return launch<ProductTile<64, 4, 1, 6>, 2>(args, device, stream);
  return launch<ProductTile<128, 2, 2, 4>, 2>(args, device, stream);
}

}  // namespace gossamer::kernels::cuda
