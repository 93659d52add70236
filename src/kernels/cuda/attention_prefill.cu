#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <bit>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_split.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/ptx/attention_mma.cuh"

// Attention of sequences with several query rows: for the row at position p and a head,
// out = sum_j p_j v_j, p = softmax over the keys in the window up to p and the sink.
//
// Grid (kv heads, tiles of query rows, splits). A tile is 128 rows: the query heads of one kv head
// for 16 tokens (8 heads) or 32 (4 heads) of one sequence; row r is token r / group, head r %
// group. A warp has 32 rows, so that a fragment of keys or values that it loads from shared memory
// serves two mma. A thread block walks over the keys that its rows see in tiles of 64, four blocks
// of the cache, and in steps of 32:
//   S = Q K^T   32 rows x 64 by 64 x 32 keys    Q stays in registers
//   O = P V     32 rows x 32 keys by 32 x 64    P is S's registers, as BF16
// Cells come through cp.async, one tile ahead. Within a cell, 16-byte chunks are permuted so that
// ldmatrix meets every bank once: chunk c of a row r of keys is at c ^ (r % 8), half h of row d of
// values at h ^ (d / 4 % 2).
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
constexpr int kTileBlocks = 4;
constexpr int kTileKeys = kTileBlocks * kBlockSize;
constexpr int kStepBlocks = 2;
constexpr int kStepKeys = kStepBlocks * kBlockSize;
constexpr int kCellBytes = kCellElements * static_cast<int>(sizeof(__nv_bfloat16));
constexpr int kStageBytes = 2 * kTileBlocks * kCellBytes;  // keys, then values
constexpr float kMaxExponent = 8;                          // weights are at most 2^8
constexpr int kMergeRows = kThreads / kRowLanes;           // rows that a thread block merges
static_assert(kPrefillRows == kWarps * 32 && kTileBlocks == kWarps);
static_assert(kCellBytes == 2048 && kAttentionHeadDim == 64);

/// A tile of query rows: tokens of one sequence, and for each the query heads of one kv head.
struct QueryTile {
  int first_token;  // of the step's
  int num_tokens;
  int position;  // of the first token
  int block_table_start;
  int kv_head;
  int group_bits;  // 2^group_bits query heads share a kv head

  /// After the last key that a row sees.
  __device__ int end() const { return position + num_tokens; }
  /// The token and the query head of a row; the token may be num_tokens or more.
  __device__ int token(int row) const { return row >> group_bits; }
  __device__ int head(int row) const {
    return (kv_head << group_bits) + (row & ((1 << group_bits) - 1));
  }
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
using Scores = float[2][2 * kStepBlocks][4];  // of a step's keys

__device__ int lane_id() {
  return static_cast<int>(threadIdx.x % 32);
}

__device__ int warp_id() {
  return static_cast<int>(threadIdx.x / 32);
}

/// Finds a thread block's tile: blockIdx.x is its kv head, blockIdx.y counts tiles, sequences in
/// order, the last tile of each first, since it sees most keys. Sequences with one row among others
/// are decoded elsewhere. False when there are fewer tiles.
__device__ bool find_tile(const AttentionKernelArgs& args, int group_bits, QueryTile& tile) {
  const int tile_tokens = kPrefillRows >> group_bits;
  int index = static_cast<int>(blockIdx.y);
  for (int base = 0; base < args.num_sequences; base += 32) {
    // A lane looks at a sequence; all that the rest waits for is loaded at once.
    const int sequence = min(base + lane_id(), args.num_sequences - 1);
    const int begin = args.cu_seqlens_q[sequence];
    const int length = args.cu_seqlens_q[sequence + 1] - begin;
    const int context = args.context_lens[sequence];
    const int block_table_start = args.block_table_starts[sequence];
    const bool is_here = base + lane_id() < args.num_sequences;
    const bool is_decoded = length == 1 && args.num_sequences > 1;
    int end = is_here && !is_decoded ? (length + tile_tokens - 1) / tile_tokens : 0;
    for (int lanes = 1; lanes < 32; lanes *= 2) {
      const int below = __shfl_up_sync(~0U, end, lanes);
      if (lane_id() >= lanes) end += below;
    }
    const unsigned beyond = __ballot_sync(~0U, index < end);
    if (beyond != 0) {
      const int owner = __ffs(static_cast<int>(beyond)) - 1;
      const int first = (end - 1 - index) * tile_tokens;  // of the sequence's new tokens
      tile.first_token = __shfl_sync(~0U, begin + first, owner);
      tile.num_tokens = __shfl_sync(~0U, min(tile_tokens, length - first), owner);
      tile.position = __shfl_sync(~0U, context - length + first, owner);
      tile.block_table_start = __shfl_sync(~0U, block_table_start, owner);
      tile.kv_head = static_cast<int>(blockIdx.x);
      tile.group_bits = group_bits;
      return true;
    }
    index -= __shfl_sync(~0U, end, 31);
  }
  return false;
}

/// Keys that rows of the tile see, from the beginning of a block.
__device__ KeyRange visible_keys(const QueryTile& tile, int sliding_window) {
  const int hidden = sliding_window > 0 ? max(0, tile.position - sliding_window + 1) : 0;
  return {hidden / kBlockSize * kBlockSize, tile.end()};
}

/// The block that holds a key; kNoBlock beyond the last key that the tile sees.
__device__ BlockId look_up(const AttentionKernelArgs& args, const QueryTile& tile, int key) {
  if (key >= tile.end()) return kNoBlock;
  return args.block_table[tile.block_table_start + key / kBlockSize];
}

/// Starts to copy the keys and values of a block, which begins at position `first_key`, to the
/// warp's cells of a stage; zeros for what the tile does not see. Those values are multiplied with
/// weights of zero, so they must be numbers.
__device__ void copy_block(
    const AttentionKernelArgs& args,
    const QueryTile& tile,
    BlockId block,
    int first_key,
    std::uint32_t stage
) {
  const int lane = lane_id();
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
    ptx::copy_16_async(
        to + (chunk ^ (chunk / 8 % 8)) * 16, args.keys + offset + 256 * i, key_bytes
    );
    ptx::copy_16_async(
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

/// Adds up a step's scores: [i][n][2 h + e] of row 16 i + 8 h + g and key
/// 8 n + 2 t + e.
__device__ void compute_scores(std::uint32_t keys, const QueryFragments& q, Scores& scores) {
  const int lane = lane_id();
  const std::uint32_t row = keys + lane % 8 * 128;
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    const std::uint32_t column = ((4 * k + lane / 8) ^ (lane % 8)) * 16;
#pragma unroll
    for (int n = 0; n < 2 * kStepBlocks; ++n) {
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
__device__ void mask_scores(
    const QueryTile& tile, int sliding_window, int first_key, Scores& scores
) {
  const int last_position = tile.position + tile.num_tokens - 1;
  const bool ends_inside = first_key + kStepKeys - 1 > tile.position;
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
      for (int n = 0; n < 2 * kStepBlocks; ++n) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int key = 8 * n + e;
          if (key > last || key <= hidden) scores[i][n][2 * h + e] = -INFINITY;
        }
      }
    }
  }
}

/// Makes every row's max large enough for the scores: none is above it by more than kMaxExponent.
/// Scaling the state to a new max is rare then.
__device__ void raise_max(State& state, const Scores& scores) {
  float max[2][2];
  bool is_above = false;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float row_max[2] = {-INFINITY, -INFINITY};
#pragma unroll
      for (int n = 0; n < 2 * kStepBlocks; ++n) {
        const float pair = fmaxf(scores[i][n][2 * h], scores[i][n][2 * h + 1]);
        row_max[n % 2] = fmaxf(row_max[n % 2], pair);
      }
      max[i][h] = fmaxf(row_max[0], row_max[1]) * kScoreScale;
      is_above |= max[i][h] > state.max[i][h] + kMaxExponent;
    }
  }
  if (!__any_sync(~0U, is_above)) return;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float row_max = fmaxf(max[i][h], state.max[i][h]);
      row_max = fmaxf(row_max, __shfl_xor_sync(~0U, row_max, 1));
      row_max = fmaxf(row_max, __shfl_xor_sync(~0U, row_max, 2));
      const float scale = ptx::exp2_approx(state.max[i][h] - row_max);
      state.max[i][h] = row_max;
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
__device__ void compute_weights(
    const Scores& scores, int block, State& state, std::uint32_t (&weights)[2][4]
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
__device__ void accumulate_values(std::uint32_t cells, const Scores& scores, State& state) {
  const int lane = lane_id();
  const int half = lane / 8 % 2 ^ lane / 4 % 2;
  const std::uint32_t row = cells + (8 * (lane / 16) + lane % 8) * 32 + half * 16;
  std::uint32_t weights[kStepBlocks][2][4];
  compute_weights(scores, 0, state, weights[0]);
#pragma unroll
  for (int block = 0; block < kStepBlocks; ++block) {
    if (block + 1 < kStepBlocks) compute_weights(scores, block + 1, state, weights[block + 1]);
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

/// The share of one of `splits` thread blocks in the keys of a tile of query rows: tiles of keys
/// [begin, end).
struct Share {
  int begin;
  int end;
  int parts;  // shares that are not empty
};

__device__ Share take_share(KeyRange visible, int splits) {
  const int total = (visible.end - visible.first + kTileKeys - 1) / kTileKeys;
  const int length = (total + splits - 1) / splits;
  const int begin = static_cast<int>(blockIdx.z) * length;
  return {begin, min(total, begin + length), (total + length - 1) / length};
}

/// Where the states of a tile's shares begin in scratch, in parts.
__device__ std::size_t first_part(const AttentionKernelArgs& args, int splits) {
  return (static_cast<std::size_t>(blockIdx.y) * args.num_kv_heads + blockIdx.x) * splits;
}

/// Adds a tile of keys, from `first_key` on, to the rows' state.
__device__ void attend(
    const QueryTile& tile,
    int sliding_window,
    int first_key,
    std::uint32_t cells,
    const QueryFragments& q,
    State& state
) {
#pragma unroll 1
  for (int step = 0; step < kTileBlocks / kStepBlocks && first_key < tile.end(); ++step) {
    Scores scores = {};
    compute_scores(cells, q, scores);
    mask_scores(tile, sliding_window, first_key, scores);
    raise_max(state, scores);
    accumulate_values(cells + kTileBlocks * kCellBytes, scores, state);
    first_key += kStepKeys;
    cells += kStepBlocks * kCellBytes;
  }
}

/// The stage of the tile of keys that begins at `first_key`: tiles take turns.
__device__ std::uint32_t stage_of(const uint4* stages, int first_key) {
  const auto first = static_cast<std::uint32_t>(__cvta_generic_to_shared(stages));
  return first + first_key / kTileKeys % 2 * kStageBytes;
}

__global__ __launch_bounds__(kThreads, kResidentPrefillBlocks) void attention_prefill_kernel(
    const __grid_constant__ AttentionKernelArgs args, PartialStates states, int group_bits
) {
  __shared__ uint4 stages[2 * kStageBytes / sizeof(uint4)];
  const int splits = static_cast<int>(gridDim.z);
  __shared__ QueryTile shared_tile;
  QueryTile own;
  if (!find_tile(args, group_bits, own)) return;
  if (threadIdx.x == 0) shared_tile = own;
  __syncthreads();
  const QueryTile& tile = shared_tile;
  const KeyRange visible = visible_keys(own, args.sliding_window);
  const Share share = take_share(visible, splits);
  if (share.begin >= share.end) return;

  const int end_key = visible.first + share.end * kTileKeys;
  int key = visible.first + share.begin * kTileKeys;
  const int own_key = warp_id() * kBlockSize;  // every warp copies one block of a tile
  copy_block(args, tile, look_up(args, tile, key + own_key), key + own_key, stage_of(stages, key));
  ptx::commit_copies();
  BlockId next_block = look_up(args, tile, key + kTileKeys + own_key);
  QueryFragments q;
  load_queries(args, tile, q);
  State state = initial_state(args, tile, splits == 1);
  for (; key < end_key; key += kTileKeys) {
    ptx::wait_for_copies<0>();
    __syncthreads();
    const int next_key = key + kTileKeys;
    if (next_key < end_key) {
      copy_block(args, tile, next_block, next_key + own_key, stage_of(stages, next_key));
      ptx::commit_copies();
      next_block = look_up(args, tile, next_key + kTileKeys + own_key);
    }
    attend(tile, args.sliding_window, key, stage_of(stages, key), q, state);
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
  const int parts = take_share(visible_keys(tile, args.sliding_window), splits).parts;
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

}  // namespace

void launch_attention_prefill(const AttentionKernelArgs& args, cudaStream_t stream) {
  const auto group = static_cast<unsigned>(args.num_heads / args.num_kv_heads);
  const int group_bits = std::countr_zero(group);
  const int tile_tokens = kPrefillRows >> group_bits;
  // Each sequence may end in a tile that is not full.
  const int num_tiles = std::min(
      (args.num_tokens + args.num_sequences * (tile_tokens - 1)) / tile_tokens,
      (args.max_query_len + tile_tokens - 1) / tile_tokens * args.num_sequences
  );
  const int splits = attention_prefill_splits(
      num_tiles, args.num_kv_heads, attention_max_keys(args, tile_tokens), args.num_multiprocessors
  );
  const PartialStates states = partial_states(args, kPrefillRows);
  const dim3 grid(args.num_kv_heads, num_tiles, splits);
  attention_prefill_kernel<<<grid, kThreads, 0, stream>>>(args, states, group_bits);
  check(cudaGetLastError(), "attention_prefill_kernel");
  if (splits == 1) return;
  const dim3 merge_grid(args.num_kv_heads, num_tiles, kPrefillRows / kMergeRows);
  attention_prefill_merge_kernel<<<merge_grid, kThreads, 0, stream>>>(
      args, states, group_bits, splits
  );
  check(cudaGetLastError(), "attention_prefill_merge_kernel");
}

}  // namespace gossamer::kernels::cuda
