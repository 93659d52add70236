#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <bit>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_split.cuh"
#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/ptx/cp_async.cuh"
#include "kernels/cuda/ptx/exp2.cuh"
#include "kernels/cuda/ptx/ldmatrix.cuh"
#include "kernels/cuda/ptx/mma.cuh"

// Attention of sequences with several query rows: for the row at position p and a head,
// out = sum_j p_j v_j, p = softmax over the keys in the window up to p and the sink.
//
// Grid (kv heads, tiles of query rows, splits). A tile is 128 rows: the query heads of one kv head
// for 16 tokens (8 heads) or 32 (4 heads) of one sequence; row r is token r / group, head r %
// group. A warp has 32 rows, so that a fragment of keys or values that it loads from shared memory
// serves two mma. A thread block walks over the keys that its rows see in tiles of 64, four blocks
// of the cache, in steps of 64 or 32:
//   S = Q K^T   32 rows x 64 by 64 x keys    Q stays in registers
//   O = P V     32 rows x keys by keys x 64  P is S's registers, as BF16
// Cells come through cp.async, one or two tiles ahead. Within a cell, 16-byte chunks are permuted
// so that ldmatrix meets every bank once: chunk c of a row r of keys is at c ^ (r % 8), half h of
// row d of values at h ^ (d / 4 % 2).
//
// Only where there are too few tiles to fill the device are the keys of a tile split; then a second
// kernel merges the states.
//
// Bound by the tensor cores: 256 operations for a row and key, of which half the keys are masked in
// tiles at the edge only.

namespace gossamer::kernels::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kTileBlocks = kKeyTile / kBlockSize;
constexpr int kCellBytes = kCellElements * static_cast<int>(sizeof(__nv_bfloat16));
constexpr int kStageBytes = 2 * kTileBlocks * kCellBytes;  // keys, then values
constexpr float kMaxExponent = 8;                          // weights are at most 2^8
constexpr int kMergeRows = kThreads / kRowLanes;           // rows that a thread block merges
static_assert(kPrefillRows == kWarps * 32 && kTileBlocks == kWarps);
static_assert(kCellBytes == 2048 && kAttentionHeadDim == 64);

/// How a kernel uses a multiprocessor: blocks of keys in a step of a warp, stages, and thread
/// blocks that run at once. Long runs of keys want large steps, in which products and powers
/// overlap. Short ones spend their time waiting, and want many warps.
template <int kBlocks, int kStageCount, int kBlocksAtOnce>
struct Plan {
  static constexpr int kStepBlocks = kBlocks;
  static constexpr int kStages = kStageCount;
  static constexpr int kResident = kBlocksAtOnce;
};
using FullPlan = Plan<4, 3, kResidentPrefillBlocks>;
using WindowPlan = Plan<2, 2, 3>;

template <class Plan>
struct Shared {
  uint4 stages[Plan::kStages][kStageBytes / sizeof(uint4)];
  QueryTile tile;
};

/// What a warp knows of its rows: [i][h] is row 16 i + 8 h + g. max is the score that weights are
/// relative to, near the largest; it is the same in every lane of a row. Sums are over this lane's
/// columns only; out[i][n][2 h + e] is column 8 n + 2 t + e.
struct State {
  float max[2][2];
  float sum[2][2];
  float out[2][8][4];
};

using QueryFragments = std::uint32_t[2][4][4];
template <int kColumns>
using Scores = float[2][kColumns][4];  // of a step's keys: kColumns mma tiles of 8

__device__ int lane_id() {
  return static_cast<int>(threadIdx.x % 32);
}

__device__ int warp_id() {
  return static_cast<int>(threadIdx.x / 32);
}

/// Starts to copy the keys and values of the block that begins at position `first_key` to the
/// warp's cells of a stage; zeros for what the tile does not see. Those values are multiplied with
/// weights of zero, so they must be numbers.
__device__ void copy_block(
    const AttentionKernelArgs& args, const QueryTile& tile, int first_key, std::uint32_t stage
) {
  const int lane = lane_id();
  const int index = tile.block_table_start + first_key / kBlockSize;
  const BlockId block = first_key < tile.end() ? args.block_table[index] : kNoBlock;
  const int present = block == kNoBlock ? 0 : tile.end() - first_key;
  const int key_bytes = present > 0 ? 16 : 0;
  const int value_bytes = 2 * min(max(present - 8 * (lane % 2), 0), 8);
  const std::size_t cell =
      static_cast<std::size_t>(max(block, 0)) * args.num_kv_heads + tile.kv_head;
  const std::size_t offset = cell * kCellElements + lane * 8;
  const std::uint32_t to = stage + warp_id() * kCellBytes;
#pragma unroll
  for (int i = 0; i < kCellBytes / 512; ++i) {
    const int chunk = 32 * i + lane;
    ptx::copy_async(to + (chunk ^ (chunk / 8 % 8)) * 16, args.keys + offset + 256 * i, key_bytes);
    ptx::copy_async(
        to + kTileBlocks * kCellBytes + (chunk ^ (chunk / 8 % 2)) * 16,
        args.values + offset + 256 * i,
        value_bytes
    );
  }
}

__device__ void load_queries(
    const AttentionKernelArgs& args, const QueryTile& tile, QueryFragments& q
) {
  const int g = lane_id() / 4;
  const int t = lane_id() % 4;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = 32 * warp_id() + 16 * i + 8 * h + g;
      const int token = tile.first_token + min(tile.token(row), tile.num_tokens - 1);
      const std::size_t head = static_cast<std::size_t>(token) * args.num_heads + tile.head(row);
      const auto* from =
          reinterpret_cast<const std::uint32_t*>(args.q + head * kAttentionHeadDim) + t;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        q[i][k][h] = from[8 * k];
        q[i][k][2 + h] = from[8 * k + 4];
      }
    }
  }
}

/// Adds up a step's scores: [i][n][2 h + e] of row 16 i + 8 h + g and key 8 n + 2 t + e.
template <int kColumns>
__device__ void compute_scores(
    std::uint32_t keys, const QueryFragments& q, Scores<kColumns>& scores
) {
  const int lane = lane_id();
  const std::uint32_t row = keys + lane % 8 * 128;
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    const std::uint32_t column = ((4 * k + lane / 8) ^ (lane % 8)) * 16;
#pragma unroll
    for (int n = 0; n < kColumns; ++n) {
      std::uint32_t b[4];
      ptx::load_matrices(b, row + n * 1024 + column);
#pragma unroll
      for (int i = 0; i < 2; ++i) ptx::mma_bf16(scores[i][n], q[i][2 * k], b[0], b[1]);
#pragma unroll
      for (int i = 0; i < 2; ++i) ptx::mma_bf16(scores[i][n], q[i][2 * k + 1], b[2], b[3]);
    }
  }
}

/// Masks a step's scores, where any row sees only a part of its keys.
template <int kColumns>
__device__ void mask_scores(
    const QueryTile& tile, int sliding_window, int first_key, Scores<kColumns>& scores
) {
  const int last_position = tile.position + tile.num_tokens - 1;
  const bool ends_inside = first_key + 8 * kColumns - 1 > tile.position;
  const bool begins_inside = sliding_window > 0 && first_key <= last_position - sliding_window;
  if (!ends_inside && !begins_inside) return;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = 32 * warp_id() + 16 * i + 8 * h + lane_id() / 4;
      // Both relative to the lane's first key.
      const int last = tile.position + tile.token(row) - first_key - 2 * (lane_id() % 4);
      const int hidden = sliding_window > 0 ? last - sliding_window : -1;
#pragma unroll
      for (int n = 0; n < kColumns; ++n) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int key = 8 * n + e;
          if (key > last || key <= hidden) scores[i][n][2 * h + e] = -INFINITY;
        }
      }
    }
  }
}

/// The largest of a row's scores that this lane has.
template <int kColumns>
__device__ float lane_max(const Scores<kColumns>& scores, int i, int h) {
  float max[2] = {-INFINITY, -INFINITY};
#pragma unroll
  for (int n = 0; n < kColumns; ++n) {
    max[n % 2] = fmaxf(max[n % 2], fmaxf(scores[i][n][2 * h], scores[i][n][2 * h + 1]));
  }
  return fmaxf(max[0], max[1]) * kScoreScale;
}

/// Makes every row's max large enough for the scores: none is above it by more than kMaxExponent.
/// Scaling the state to a new max is rare then.
template <int kColumns>
__device__ void raise_max(State& state, const Scores<kColumns>& scores) {
  bool is_above = false;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      is_above |= lane_max<kColumns>(scores, i, h) > state.max[i][h] + kMaxExponent;
    }
  }
  if (!__any_sync(~0U, is_above)) return;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float max = fmaxf(lane_max<kColumns>(scores, i, h), state.max[i][h]);
      max = fmaxf(max, __shfl_xor_sync(~0U, max, 1));
      max = fmaxf(max, __shfl_xor_sync(~0U, max, 2));
      const float scale = ptx::exp2_approx(state.max[i][h] - max);
      state.max[i][h] = max;
      state.sum[i][h] *= scale;
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        state.out[i][n][2 * h] *= scale;
        state.out[i][n][2 * h + 1] *= scale;
      }
    }
  }
}

/// The weights exp2(score - max) of a block's keys, as operand A, which are added to the sums.
template <int kColumns>
__device__ void compute_weights(
    const Scores<kColumns>& scores, int block, State& state, std::uint32_t (&weights)[2][4]
) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const int h = c % 2;
      const float(&pairs)[4] = scores[i][2 * block + c / 2];
      const float low = ptx::exp2_approx(fmaf(pairs[2 * h], kScoreScale, -state.max[i][h]));
      const float high = ptx::exp2_approx(fmaf(pairs[2 * h + 1], kScoreScale, -state.max[i][h]));
      state.sum[i][h] += low + high;
      weights[i][c] = pack_bf16(low, high);
    }
  }
}

/// Adds a step's values, by weight. The weights of a block are computed beside the products of the
/// one before.
template <int kColumns>
__device__ void accumulate_values(
    std::uint32_t cells, const Scores<kColumns>& scores, State& state
) {
  const int lane = lane_id();
  const int half = lane / 8 % 2 ^ lane / 4 % 2;
  const std::uint32_t row = cells + (8 * (lane / 16) + lane % 8) * 32 + half * 16;
  constexpr int kBlocks = 8 * kColumns / kBlockSize;
  std::uint32_t weights[kBlocks][2][4];
  compute_weights(scores, 0, state, weights[0]);
#pragma unroll
  for (int block = 0; block < kBlocks; ++block) {
    if (block + 1 < kBlocks) compute_weights(scores, block + 1, state, weights[block + 1]);
    const auto& a = weights[block];
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
      std::uint32_t b[4];
      ptx::load_matrices(b, row + block * kCellBytes + n * 256);
#pragma unroll
      for (int i = 0; i < 2; ++i) ptx::mma_bf16(state.out[i][n], a[i], b[0], b[1]);
#pragma unroll
      for (int i = 0; i < 2; ++i) ptx::mma_bf16(state.out[i][n + 1], a[i], b[2], b[3]);
    }
  }
}

/// The state without keys. The sink belongs to one lane of the four that share a row.
__device__ State
initial_state(const AttentionKernelArgs& args, const QueryTile& tile, bool with_sink) {
  const int g = lane_id() / 4;
  const int t = lane_id() % 4;
  State state = {};
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = 32 * warp_id() + 16 * i + 8 * h + g;
      const float sink = __bfloat162float(args.sinks[tile.head(row)]) * kLog2e;
      state.max[i][h] = with_sink ? sink : kNoScore;
      state.sum[i][h] = with_sink && t == 0 ? 1 : 0;
    }
  }
  return state;
}

/// Sums of whole rows, in every lane of a row.
__device__ void finish_sums(State& state) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float& sum = state.sum[i][h];
      sum += __shfl_xor_sync(~0U, sum, 1);
      sum += __shfl_xor_sync(~0U, sum, 2);
    }
  }
}

__device__ void store_rows(
    const AttentionKernelArgs& args, const QueryTile& tile, const State& state
) {
  const int t = lane_id() % 4;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = 32 * warp_id() + 16 * i + 8 * h + lane_id() / 4;
      if (tile.token(row) >= tile.num_tokens) continue;
      const std::size_t token = tile.first_token + tile.token(row);
      const std::size_t head = token * args.num_heads + tile.head(row);
      auto* to = reinterpret_cast<std::uint32_t*>(args.out + head * kAttentionHeadDim) + t;
      const float scale = 1 / state.sum[i][h];
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        to[4 * n] = pack_bf16(state.out[i][n][2 * h] * scale, state.out[i][n][2 * h + 1] * scale);
      }
    }
  }
}

/// Leaves the state in scratch, as the part with an index.
__device__ void store_state(const State& state, const PartialStates& states, std::size_t part) {
  const int t = lane_id() % 4;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = 32 * warp_id() + 16 * i + 8 * h + lane_id() / 4;
      const std::size_t index = part * kPrefillRows + row;
      auto* to = reinterpret_cast<float2*>(states.out + index * kAttentionHeadDim) + t;
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        to[4 * n] = {state.out[i][n][2 * h], state.out[i][n][2 * h + 1]};
      }
      if (t == 0) states.max_sum[index] = {state.max[i][h], state.sum[i][h]};
    }
  }
}

/// Adds a tile of keys, from `first_key` on, to the rows' state.
template <int kStepBlocks>
__device__ void attend(
    const QueryTile& tile,
    int sliding_window,
    int first_key,
    std::uint32_t cells,
    const QueryFragments& q,
    State& state
) {
#pragma unroll 1
  for (int block = 0; block < kTileBlocks; block += kStepBlocks) {
    constexpr int kColumns = kStepBlocks * kBlockSize / 8;
    const int key = first_key + block * kBlockSize;
    if (key >= tile.end()) return;
    Scores<kColumns> scores = {};
    compute_scores<kColumns>(cells + block * kCellBytes, q, scores);
    mask_scores<kColumns>(tile, sliding_window, key, scores);
    raise_max<kColumns>(state, scores);
    accumulate_values<kColumns>(cells + (kTileBlocks + block) * kCellBytes, scores, state);
  }
}

template <class Plan>
__global__ __launch_bounds__(kThreads, Plan::kResident) void attention_prefill_kernel(
    const __grid_constant__ AttentionKernelArgs args, PartialStates states, int group_bits
) {
  extern __shared__ uint4 memory[];
  auto& shared = reinterpret_cast<Shared<Plan>&>(memory);
  const QueryTile& tile = shared.tile;  // the registers are all taken
  QueryTile found;
  if (!find_tile(args, group_bits, found)) return;
  if (threadIdx.x == 0) shared.tile = found;
  __syncthreads();
  const int splits = static_cast<int>(gridDim.z);
  const KeyShare share = take_key_share(visible_keys(tile, args.sliding_window), splits);
  if (share.begin >= share.end) return;

  // Tiles of keys take turns in the stages; each warp copies one block of a tile.
  const auto stages = ptx::shared_address(shared.stages);
  const auto first_key = [&](int i) {
    return visible_keys(tile, args.sliding_window).first + i * kKeyTile;
  };
  const auto stage = [&](int i) { return stages + i % Plan::kStages * kStageBytes; };
  const auto copy = [&](int i) {
    const int key = first_key(i) + warp_id() * kBlockSize;
    if (i < share.end) copy_block(args, tile, key, stage(i));
    ptx::commit_copies();
  };
  constexpr int kAhead = Plan::kStages - 1;
  for (int i = share.begin; i < share.begin + kAhead; ++i) copy(i);
  QueryFragments q;
  load_queries(args, tile, q);
  State state = initial_state(args, tile, splits == 1);
  for (int i = share.begin; i < share.end; ++i) {
    ptx::wait_for_copies<kAhead - 1>();
    __syncthreads();
    copy(i + kAhead);
    attend<Plan::kStepBlocks>(tile, args.sliding_window, first_key(i), stage(i), q, state);
  }
  finish_sums(state);
  if (splits == 1) {
    store_rows(args, tile, state);
  } else {
    store_state(state, states, first_part(args, splits) + blockIdx.z);
  }
}

/// Grid (kv heads, tiles, slices of a tile's rows): 16 threads merge a row.
__global__ __launch_bounds__(kThreads) void attention_prefill_merge_kernel(
    const __grid_constant__ AttentionKernelArgs args,
    PartialStates states,
    int group_bits,
    int splits
) {
  QueryTile tile;
  if (!find_tile(args, group_bits, tile)) return;
  const int parts = take_key_share(visible_keys(tile, args.sliding_window), splits).parts;
  const int row = static_cast<int>(blockIdx.z * kMergeRows + threadIdx.x / kRowLanes);
  const std::size_t first_state = first_part(args, splits) * kPrefillRows + row;
  RowState merged = sink_state(args.sinks[tile.head(row)]);
  merge_parts<8>(
      merged,
      states.out + first_state * kAttentionHeadDim,
      kPrefillRows * kAttentionHeadDim,
      states.max_sum + first_state,
      kPrefillRows,
      parts
  );
  if (tile.token(row) >= tile.num_tokens) return;
  const std::size_t token = tile.first_token + tile.token(row);
  const std::size_t head = token * args.num_heads + tile.head(row);
  store_row(merged, args.out + head * kAttentionHeadDim);
}

template <class Plan>
void launch(const AttentionKernelArgs& args, dim3 grid, int group_bits, cudaStream_t stream) {
  const auto kernel = attention_prefill_kernel<Plan>;
  constexpr int kBytes = sizeof(Shared<Plan>);
  check(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
      "cudaFuncSetAttribute"
  );
  kernel<<<grid, kThreads, kBytes, stream>>>(args, partial_states(args, kPrefillRows), group_bits);
  check(cudaGetLastError(), "attention_prefill_kernel");
}

}  // namespace

void launch_attention_prefill(const AttentionKernelArgs& args, cudaStream_t stream) {
  const int group_bits =
      std::countr_zero(static_cast<unsigned>(args.num_heads / args.num_kv_heads));
  const int tile_tokens = kPrefillRows >> group_bits;
  // Each sequence may end in a tile that is not full.
  const int num_tiles = std::min(
      (args.num_tokens + args.num_sequences * (tile_tokens - 1)) / tile_tokens,
      (args.max_query_len + tile_tokens - 1) / tile_tokens * args.num_sequences
  );
  const int splits = attention_prefill_splits(
      num_tiles, args.num_kv_heads, attention_max_keys(args, tile_tokens), args.num_multiprocessors
  );
  const dim3 grid(args.num_kv_heads, num_tiles, splits);
  if (args.sliding_window > 0) {
    launch<WindowPlan>(args, grid, group_bits, stream);
  } else {
    launch<FullPlan>(args, grid, group_bits, stream);
  }
  if (splits == 1) return;
  const dim3 merge_grid(args.num_kv_heads, num_tiles, kPrefillRows / kMergeRows);
  attention_prefill_merge_kernel<<<merge_grid, kThreads, 0, stream>>>(
      args, partial_states(args, kPrefillRows), group_bits, splits
  );
  check(cudaGetLastError(), "attention_prefill_merge_kernel");
}

}  // namespace gossamer::kernels::cuda
