// Y[t, r] = sum_k X[t, k] W[r, k] + bias[r], in tiles of 128 rows and 32 to 256 tokens.
//
// Block (i, s) has tile i and part s of its columns. Tiles are numbered so that those that run
// together share rows and tokens, which then come from L2. Where a tile has several parts, the one
// that is done last adds them up, in their order. Few tokens are bound by reading the weights, many
// by the tensor cores.

#include <algorithm>

#include "kernels/cuda/gemm_kernels.cuh"
#include "kernels/cuda/gemm_output.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/product_tile.cuh"
#include "kernels/cuda/weight_tiles.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kRows = kGemmTileRows;
constexpr int kTokenTilesTogether = 8;

// The scratch: a counter for each split tile, then the parts' sums.
constexpr std::size_t kCounterBytes = kMaxSplitParts * sizeof(unsigned);
constexpr std::size_t kPartFloats = std::size_t{kRows} * kMaxSplitTokens;

struct TilePlace {
  int first_row;
  int first_token;
};

/// Goes through kTokenTilesTogether token tiles before the next row tile.
__device__ TilePlace place_of(int tile, const GemmArgs& args, int tokens_per_tile) {
  const int row_tiles = (args.rows + kRows - 1) / kRows;
  const int token_tiles = (args.num_tokens + tokens_per_tile - 1) / tokens_per_tile;
  const int per_band = row_tiles * kTokenTilesTogether;
  const int first = tile / per_band * kTokenTilesTogether;
  const int width = min(kTokenTilesTogether, token_tiles - first);
  const int in_band = tile % per_band;
  return {in_band / width * kRows, (first + in_band % width) * tokens_per_tile};
}

/// Whether this block is the last of its tile's parts; all parts' sums are then visible to it.
__device__ bool is_last_part(unsigned* counter, int splits) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(counter, 1) == static_cast<unsigned>(splits - 1);
    if (last) *counter = 0;  // for the next product
  }
  __syncthreads();
  if (last) __threadfence();
  return last;
}

/// Leaves a part's sums in the scratch; the last part's block stores the tile.
template <class Tile>
__device__ void join_parts(
    const GemmArgs& args, TilePlace place, int splits, std::byte* shared, const TileSums<Tile>& sums
) {
  auto* const parts = reinterpret_cast<float*>(args.scratch + kCounterBytes) +
                      std::size_t{blockIdx.x} * splits * kPartFloats;
  float* const mine = parts + blockIdx.y * kPartFloats;
  for_each_output<Tile, Tile::kTokenTiles>(shared, sums, [&](int token, int row, float4 values) {
    __stcg(reinterpret_cast<float4*>(mine + token * kRows + row), values);
  });
  if (!is_last_part(reinterpret_cast<unsigned*>(args.scratch) + blockIdx.x, splits)) return;
  const int num_tokens = min(Tile::kTokens, args.num_tokens - place.first_token);
  for (int i = static_cast<int>(threadIdx.x) * 4; i < num_tokens * kRows; i += Tile::kThreads * 4) {
    const int row = place.first_row + i % kRows;
    if (row >= args.rows) continue;
    float4 sum = make_float4(0, 0, 0, 0);
    for (int split = 0; split < splits; ++split) {
      sum = sum + __ldcg(reinterpret_cast<const float4*>(parts + split * kPartFloats + i));
    }
    store_gemm(args, place.first_token + i / kRows, row, sum);
  }
}

template <class Tile, int kMinBlocks>
__global__ void __launch_bounds__(Tile::kThreads, kMinBlocks)
    gemm_tiled_kernel(GemmArgs args, int splits) {
  extern __shared__ uint4 shared_memory[];
  auto* const shared = reinterpret_cast<std::byte*>(shared_memory);
  const TilePlace place = place_of(static_cast<int>(blockIdx.x), args, Tile::kTokens);
  const Bf16WeightTile<Tile> weights(args.weight, place.first_row, args.rows, args.columns);
  __shared__ std::uint32_t offsets[Tile::kTokens];
  const TokenSource<Tile> tokens(
      args.x + place.first_token * args.x_stride,
      args.x_stride,
      args.columns,
      min(Tile::kTokens, args.num_tokens - place.first_token),
      offsets,
      [](int token) { return token; }
  );
  const int steps = (args.columns + Tile::kColumns - 1) / Tile::kColumns;
  const int begin = steps * static_cast<int>(blockIdx.y) / splits;
  const int end = steps * static_cast<int>(blockIdx.y + 1) / splits;
  TileSums<Tile> sums = {};
  multiply_tile<Tile, Tile::kTokenTiles>(weights, tokens, begin, end, shared, sums);
  if constexpr (Tile::kTokens <= kMaxSplitTokens) {
    if (splits > 1) {
      join_parts<Tile>(args, place, splits, shared, sums);
      return;
    }
  }
  for_each_output<Tile, Tile::kTokenTiles>(shared, sums, [&](int token, int row, float4 values) {
    if (place.first_token + token >= args.num_tokens || place.first_row + row >= args.rows) return;
    store_gemm(args, place.first_token + token, place.first_row + row, values);
  });
}

template <class Tile, int kMinBlocks>
void launch(const GemmArgs& args, int splits, cudaStream_t stream) {
  constexpr int kSharedBytes =
      Tile::kStages * (Bf16WeightTile<Tile>::kStageBytes + Tile::kTokenStageBytes);
  const auto kernel = gemm_tiled_kernel<Tile, kMinBlocks>;
  check(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes),
      "cudaFuncSetAttribute"
  );
  const int tiles =
      (args.rows + kRows - 1) / kRows * ((args.num_tokens + Tile::kTokens - 1) / Tile::kTokens);
  const dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>(splits));
  kernel<<<grid, Tile::kThreads, kSharedBytes, stream>>>(args, splits);
  check(cudaGetLastError(), "gemm_tiled_kernel");
}

}  // namespace

std::size_t gemm_scratch_bytes() {
  return kCounterBytes + kMaxSplitParts * kPartFloats * sizeof(float);
}

void launch_gemm_tiled(const GemmArgs& args, const GemmPlan& plan, cudaStream_t stream) {
  switch (plan.tile) {
    case GemmTile::kTile32:
      return launch<ProductTile<32, 4, 1, 4>, 2>(args, plan.splits, stream);
    case GemmTile::kTile64:
      return launch<ProductTile<64, 4, 1, 4>, 2>(args, plan.splits, stream);
    case GemmTile::kTile256:
      return launch<ProductTile<256, 2, 4, 4>, 1>(args, plan.splits, stream);
    default:
      return launch<ProductTile<128, 2, 2, 3>, 2>(args, plan.splits, stream);
  }
}

}  // namespace gossamer::kernels::cuda
