#pragma once

// A tile of a product: kRows weight rows with kTokens tokens, kColumns columns at a time, through
// a ring of stages in shared memory. Shared by dense and expert products, which differ in their
// weights (a policy, see bf16_weight_tile.cuh and fp4_weight_tile.cuh) and in where tokens lie.

#include <cuda_bf16.h>

#include <cstdint>

#include "kernels/cuda/ptx/cp_async.cuh"
#include "kernels/cuda/ptx/ldmatrix.cuh"
#include "kernels/cuda/ptx/mma.cuh"

namespace gossamer::kernels::cuda {

/// kRowWarps x kTokenWarps warps. A warp has consecutive rows, and every kTokenWarps-th 8 tokens,
/// so that a tile with few tokens keeps all warps busy.
template <int kTokensOfTile, int kRowWarpsOfTile, int kTokenWarpsOfTile, int kStagesOfTile>
struct ProductTile {
  static constexpr int kRows = 128;
  static constexpr int kTokens = kTokensOfTile;
  static constexpr int kColumns = 64;
  static constexpr int kRowWarps = kRowWarpsOfTile;
  static constexpr int kTokenWarps = kTokenWarpsOfTile;
  static constexpr int kStages = kStagesOfTile;

  static constexpr int kThreads = 32 * kRowWarps * kTokenWarps;
  static constexpr int kWarpRows = kRows / kRowWarps;
  static constexpr int kRowTiles = kWarpRows / 16;               // of a warp, for mma
  static constexpr int kTokenTiles = kTokens / kTokenWarps / 8;  // of a warp, for mma
  static constexpr int kTokenBytes = kColumns * 2;               // of a token in a stage
  static constexpr int kTokenStageBytes = kTokens * kTokenBytes;

  static_assert(kRows % (16 * kRowWarps) == 0 && kTokens % (8 * kTokenWarps) == 0);
};

/// Which warp of the tile this is, and which part of a fragment this lane has.
template <class Tile>
struct TileLane {
  int lane = static_cast<int>(threadIdx.x) % 32;
  int row_warp = static_cast<int>(threadIdx.x) / 32 % Tile::kRowWarps;
  int token_warp = static_cast<int>(threadIdx.x) / 32 / Tile::kRowWarps;

  /// The tile's token of column 0 of this warp's i-th 8.
  __device__ int first_token(int i) const { return (i * Tile::kTokenWarps + token_warp) * 8; }
};

/// The tokens of a tile on their way to shared memory. There a token's 16-byte chunks are permuted
/// by its index, so that reading a column of 8 tokens meets all banks.
template <class Tile>
class TokenSource {
 public:
  /// token_row(i) is the row of x of the tile's token i, for i below num_tokens. `offsets`,
  /// Tile::kTokens in shared memory, is free for this object. Every thread of the block calls it;
  /// ends with a barrier.
  template <class TokenRow>
  __device__ TokenSource(
      const __nv_bfloat16* x,
      std::int64_t x_stride,
      int num_columns,
      int num_tokens,
      std::uint32_t* offsets,
      const TokenRow& token_row
  )
      : x_(x + kChunkOf * chunk()),
        num_columns_(num_columns - kChunkOf * chunk()),
        offsets_(offsets + first_token()) {
    for (int i = static_cast<int>(threadIdx.x); i < Tile::kTokens; i += Tile::kThreads) {
      offsets[i] =
          static_cast<std::uint32_t>(token_row(min(i, num_tokens - 1)) * (x_stride / kChunkOf));
    }
    __syncthreads();
  }

  /// Starts the copies of columns [64 step, 64 step + 64) of the first kTokens tokens. Columns that
  /// x does not have are zeros; tokens that the tile does not have are its last one.
  template <int kTokens>
  __device__ __forceinline__ void copy(int step, std::uint32_t to) const {
    const int column = step * Tile::kColumns;
    const bool valid = column < num_columns_;
    const __nv_bfloat16* from = x_ + (valid ? column : 0);
    to += first_token() * Tile::kTokenBytes + ((chunk() ^ (first_token() % 8)) * 16);
#pragma unroll
    for (int i = 0; i < (kTokens + kTokensPerCopy - 1) / kTokensPerCopy; ++i) {
      ptx::copy_async(
          to + i * kTokensPerCopy * Tile::kTokenBytes,
          from + std::int64_t{offsets_[i * kTokensPerCopy]} * kChunkOf,
          valid ? 16 : 0
      );
    }
  }

 private:
  static constexpr int kChunkOf = 8;                         // bf16s
  static constexpr int kChunks = Tile::kColumns / kChunkOf;  // of a token
  static constexpr int kTokensPerCopy = Tile::kThreads / kChunks;
  static_assert(kTokensPerCopy % 8 == 0 && Tile::kTokens % kTokensPerCopy == 0);

  __device__ static int chunk() {
    return static_cast<int>(threadIdx.x) % kChunks;
  }
  __device__ static int first_token() {
    return static_cast<int>(threadIdx.x) / kChunks;
  }

  const __nv_bfloat16* x_;        // this thread's chunk of a step
  int num_columns_;               // from there
  const std::uint32_t* offsets_;  // in chunks, of this thread's tokens
};

/// A warp's sums: [rows / 16][tokens / 8], as mma has them.
template <class Tile>
using TileSums = float[Tile::kRowTiles][Tile::kTokenTiles][4];

/// What multiply_half() may do between its products: nothing.
struct NothingBetween {
  __device__ __forceinline__ void operator()(int) const {}
};

/// Adds the products of 32 columns to the sums of the warp's first kActive token tiles, and calls
/// between(i) after the i-th. `tokens` is the address of the half stage, this lane's row for
/// ldmatrix.
template <class Tile, int kActive, class Between>
__device__ __forceinline__ void multiply_half(
    const std::uint32_t (&a)[Tile::kRowTiles][2][4],
    std::uint32_t tokens,
    TileSums<Tile>& sums,
    const Between& between
) {
  constexpr int kStride = Tile::kTokenWarps * 8 * Tile::kTokenBytes;
  std::uint32_t next[4];
  ptx::load_matrices(next, tokens);
#pragma unroll
  for (int i = 0; i < kActive; ++i) {
    const std::uint32_t b[4] = {next[0], next[1], next[2], next[3]};
    if (i + 1 < kActive) ptx::load_matrices(next, tokens + (i + 1) * kStride);
#pragma unroll
    for (int s = 0; s < 2; ++s) {
#pragma unroll
      for (int m = 0; m < Tile::kRowTiles; ++m) {
        ptx::mma_bf16(
            sums[m][i], a[m][s][0], a[m][s][1], a[m][s][2], a[m][s][3], b[2 * s], b[2 * s + 1]
        );
      }
    }
    between(i);
  }
}

/// Where this lane's row for ldmatrix of a stage's tokens lies. The chunks of the second 32 columns
/// are those of the first with bit 2 flipped: the offset with 64 flipped.
template <class Tile>
__device__ __forceinline__ std::uint32_t lane_tokens_offset(const TileLane<Tile>& place) {
  const int row = place.lane % 8;
  return (place.token_warp * 8 + row) * Tile::kTokenBytes + ((place.lane / 8) ^ row) * 16;
}

template <class Tile>
__device__ __forceinline__ int next_stage(int stage) {
  return stage == Tile::kStages - 1 ? 0 : stage + 1;
}
template <class Tile>
__device__ __forceinline__ int stage_before(int stage) {
  return stage == 0 ? Tile::kStages - 1 : stage - 1;
}

/// Sums over steps [begin, end) of 64 columns. `shared` has kStages stages, of weights, then
/// tokens. Every thread of the block calls it; it starts and ends with the stages unused.
template <class Tile, int kActive, class Weights>
__device__ __forceinline__ void multiply_tile(
    const Weights& weights,
    const TokenSource<Tile>& source,
    int begin,
    int end,
    std::byte* shared,
    TileSums<Tile>& sums
) {
  constexpr int kStageBytes = Weights::kStageBytes + Tile::kTokenStageBytes;
  const TileLane<Tile> place;
  const std::uint32_t address = ptx::shared_address(shared);
  const std::uint32_t lane_tokens = Weights::kStageBytes + lane_tokens_offset<Tile>(place);
  const auto start_copy = [&](int step, int stage) {
    if (step < end) {
      weights.copy(step, address + stage * kStageBytes);
      source.template copy<kActive * 8 * Tile::kTokenWarps>(
          step, address + stage * kStageBytes + Weights::kStageBytes
      );
    }
    ptx::commit_copies();
  };
#pragma unroll
  for (int i = 0; i < Tile::kStages - 1; ++i) start_copy(begin + i, i);
  int stage = 0;
#pragma unroll 1
  for (int step = begin; step < end; ++step) {
    ptx::wait_for_copies<Tile::kStages - 2>();
    __syncthreads();
    start_copy(step + Tile::kStages - 1, stage_before<Tile>(stage));
    weights.multiply(
        shared + stage * kStageBytes,
        [&](int half, const std::uint32_t(&a)[Tile::kRowTiles][2][4]) {
          const std::uint32_t tokens = (lane_tokens + stage * kStageBytes) ^ (half * 64);
          multiply_half<Tile, kActive>(a, address + tokens, sums, NothingBetween{});
        }
    );
    stage = next_stage<Tile>(stage);
  }
  ptx::wait_for_copies<0>();
  __syncthreads();
}

/// Calls store(token, row, sums of four rows) for the sums of all warps' first kActive token tiles:
/// token and row are the tile's. Goes through shared memory, so that lanes store consecutive rows.
template <class Tile, int kActive, class Store>
__device__ __forceinline__ void for_each_output(
    std::byte* shared, const TileSums<Tile>& sums, const Store& store
) {
  constexpr int kStride = Tile::kWarpRows + 4;  // the 4 move tokens to different banks
  constexpr int kQuads = Tile::kWarpRows / 4;
  const TileLane<Tile> place;
  auto* const staged =
      reinterpret_cast<float*>(shared) + static_cast<int>(threadIdx.x) / 32 * (8 * kStride);
  float* const mine = staged + place.lane % 4 * 2 * kStride + place.lane / 4;
#pragma unroll
  for (int i = 0; i < kActive; ++i) {
#pragma unroll
    for (int m = 0; m < Tile::kRowTiles; ++m) {
#pragma unroll
      for (int c = 0; c < 4; ++c) mine[c % 2 * kStride + m * 16 + c / 2 * 8] = sums[m][i][c];
    }
    __syncwarp();
#pragma unroll
    for (int j = 0; j < 8 * kQuads; j += 32) {
      const int token = (j + place.lane) / kQuads;
      const int row = (j + place.lane) % kQuads * 4;
      store(
          place.first_token(i) + token,
          place.row_warp * Tile::kWarpRows + row,
          *reinterpret_cast<const float4*>(staged + token * kStride + row)
      );
    }
    __syncwarp();
  }
}

}  // namespace gossamer::kernels::cuda
