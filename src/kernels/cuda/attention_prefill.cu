#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>

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
// of the cache:
//   S = Q K^T   32 rows x 64 by 64 x 64 keys    Q stays in registers
//   O = P V     32 rows x 64 keys by 64 x 64    P is S's registers, as BF16
// Cells come through cp.async into a ring of stages. Within a cell, 16-byte chunks are permuted so
// that ldmatrix meets every bank once: chunk c of a row r of keys is at c ^ (r % 8), half h of row
// d of values at h ^ (d / 4 % 2). Only where there are too few tiles to fill the device are the
// keys of a tile split; then a second kernel merges the states.
//
// Bound by the tensor cores: 256 operations for a row and key, of which half the keys are masked in
// tiles at the edge only.

namespace gossamer::kernels::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kTileBlocks = 4;
constexpr int kTileKeys = kTileBlocks * kBlockSize;
constexpr int kHalfKeys = kTileKeys / 2;
constexpr int kStages = 3;
constexpr int kCellBytes = kCellElements * static_cast<int>(sizeof(__nv_bfloat16));
constexpr int kStageBytes = 2 * kTileBlocks * kCellBytes;  // keys, then values
constexpr int kSharedBytes = kStages * kStageBytes;
constexpr float kMaxExponent = 8;                 // weights are at most 2^8
constexpr int kMergeRows = kThreads / kRowLanes;  // rows that a thread block merges
static_assert(kPrefillRows == kWarps * 32 && kTileBlocks == kWarps);
static_assert(kCellBytes == 2048 && kAttentionHeadDim == 64);

/// A tile of query rows, and the keys that its thread block is to see.
struct Work {
  int sequence;
  int first_token;  // of the sequence's new tokens
  int num_tokens;   // of the tile that exist
  int position;     // of the first token
  int first_row;    // of the step, of the first token
  int context;
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
using Scores = float[2][4][4];  // of half a tile of keys

__device__ int lane_id() {
  return static_cast<int>(threadIdx.x % 32);
}

__device__ int warp_id() {
  return static_cast<int>(threadIdx.x / 32);
}

/// The tile with an index, sequences in order, the last tile of each first: it sees most keys.
/// Sequences with one row among others are decoded elsewhere. False when there are fewer tiles.
__device__ bool find_work(const AttentionKernelArgs& args, int tile_tokens, int index, Work& work) {
  for (int base = 0; base < args.num_sequences; base += 32) {
    const int sequence = base + lane_id();
    int length = 0;
    int begin = 0;
    if (sequence < args.num_sequences) {
      begin = args.cu_seqlens_q[sequence];
      length = args.cu_seqlens_q[sequence + 1] - begin;
      if (length == 1 && args.num_sequences > 1) length = 0;
    }
    const int tiles = (length + tile_tokens - 1) / tile_tokens;
    int end = tiles;
    for (int lanes = 1; lanes < 32; lanes *= 2) {
      const int below = __shfl_up_sync(~0U, end, lanes);
      if (lane_id() >= lanes) end += below;
    }
    const unsigned beyond = __ballot_sync(~0U, index < end);
    if (beyond == 0) {
      index -= __shfl_sync(~0U, end, 31);
      continue;
    }
    const int owner = __ffs(static_cast<int>(beyond)) - 1;
    const int first = (__shfl_sync(~0U, end, owner) - 1 - index) * tile_tokens;
    length = __shfl_sync(~0U, length, owner);
    work.sequence = base + owner;
    work.first_token = first;
    work.num_tokens = min(tile_tokens, length - first);
    work.first_row = __shfl_sync(~0U, begin, owner) + first;
    work.context = args.context_lens[work.sequence];
    work.position = work.context - length + first;
    return true;
  }
  return false;
}

/// Keys that rows of the tile see, from the beginning of a block.
__device__ KeyRange visible_keys(const Work& work, int sliding_window) {
  const int hidden = sliding_window > 0 ? max(0, work.position - sliding_window + 1) : 0;
  return {hidden / kBlockSize * kBlockSize, work.position + work.num_tokens};
}

/// Where a warp finds its block of each tile: warp w has block w.
struct Cells {
  const std::int32_t* block_table;
  const __nv_bfloat16* keys;  // of the kv head, in block 0
  const __nv_bfloat16* values;
  std::size_t stride;  // elements from a block to the next
  int first_key;       // of the warp's block in tile 0
  int context;
};

__device__ Cells
find_cells(const AttentionKernelArgs& args, const Work& work, KeyRange visible, int kv_head) {
  const std::size_t head_cell = static_cast<std::size_t>(kv_head) * kCellElements;
  return {
      .block_table = args.block_table + args.block_table_starts[work.sequence],
      .keys = args.keys + head_cell,
      .values = args.values + head_cell,
      .stride = static_cast<std::size_t>(args.num_kv_heads) * kCellElements,
      .first_key = visible.first + warp_id() * kBlockSize,
      .context = work.context,
  };
}

__device__ BlockId look_up(const Cells& cells, int tile) {
  const int key = cells.first_key + tile * kTileKeys;
  return key < cells.context ? cells.block_table[key / kBlockSize] : kNoBlock;
}

/// Starts to copy the warp's block of a tile; zeros for what the context does not have. Values are
/// multiplied with weights of zero there, so they must be numbers.
__device__ void copy_block(const Cells& cells, int tile, BlockId block, std::uint32_t stage) {
  const int lane = lane_id();
  const int present = block == kNoBlock ? 0 : cells.context - (cells.first_key + tile * kTileKeys);
  const int key_bytes = present > 0 ? 16 : 0;
  const int value_bytes = 2 * min(max(present - 8 * (lane % 2), 0), 8);
  const std::size_t offset = max(block, 0) * cells.stride + lane * 8;
  const std::uint32_t to = stage + warp_id() * kCellBytes;
#pragma unroll
  for (int i = 0; i < kCellBytes / 512; ++i) {
    const int chunk = 32 * i + lane;
    ptx::copy_16_async(
        to + (chunk ^ (chunk / 8 % 8)) * 16, cells.keys + offset + 256 * i, key_bytes
    );
    ptx::copy_16_async(
        to + kTileBlocks * kCellBytes + (chunk ^ (chunk / 8 % 2)) * 16,
        cells.values + offset + 256 * i,
        value_bytes
    );
  }
}

__device__ void load_queries(
    const AttentionKernelArgs& args, const Work& work, int kv_head, int group, QueryFragments& q
) {
  const int g = lane_id() / 4;
  const int t = lane_id() % 4;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = 32 * warp_id() + 16 * i + 8 * h + g;
      const int token = work.first_row + min(row / group, work.num_tokens - 1);
      const std::size_t head =
          static_cast<std::size_t>(token) * args.num_heads + kv_head * group + row % group;
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

/// Scores of the keys at `keys`, half a tile: [i][n][2 h + e] of row 16 i + 8 h + g and key
/// 8 n + 2 t + e.
__device__ void compute_scores(std::uint32_t keys, const QueryFragments& q, Scores& scores) {
  const int lane = lane_id();
  const std::uint32_t row = keys + lane % 8 * 128;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
      for (int c = 0; c < 4; ++c) scores[i][n][c] = 0;
    }
  }
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    const std::uint32_t column = ((4 * k + lane / 8) ^ (lane % 8)) * 16;
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      std::uint32_t b[4];
      ptx::load_matrices(b, row + n * 1024 + column);
#pragma unroll
      for (int i = 0; i < 2; ++i) ptx::mma_bf16(scores[i][n], q[i][2 * k], b[0], b[1]);
#pragma unroll
      for (int i = 0; i < 2; ++i) ptx::mma_bf16(scores[i][n], q[i][2 * k + 1], b[2], b[3]);
    }
  }
}

/// Masks the scores of half a tile, where any row sees only a part of its keys.
__device__ void mask_scores(
    const Work& work, int group, int sliding_window, int first_key, Scores& scores
) {
  const int last_position = work.position + work.num_tokens - 1;
  const bool ends_inside = first_key + kHalfKeys - 1 > work.position;
  const bool begins_inside = sliding_window > 0 && first_key <= last_position - sliding_window;
  if (!ends_inside && !begins_inside) return;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = 32 * warp_id() + 16 * i + 8 * h + lane_id() / 4;
      // Both relative to the lane's first key.
      const int last = work.position + row / group - first_key - 2 * (lane_id() % 4);
      const int hidden = sliding_window > 0 ? last - sliding_window : -1;
#pragma unroll
      for (int n = 0; n < 4; ++n) {
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
      float row_max = fmaxf(scores[i][0][2 * h], scores[i][0][2 * h + 1]);
#pragma unroll
      for (int n = 1; n < 4; ++n) {
        row_max = fmaxf(row_max, fmaxf(scores[i][n][2 * h], scores[i][n][2 * h + 1]));
      }
      max[i][h] = row_max * kScoreScale;
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

/// Adds the values of a block, by weight.
__device__ void accumulate_block(
    std::uint32_t values, const std::uint32_t (&weights)[2][4], State& state
) {
  const int lane = lane_id();
  const int half = lane / 8 % 2 ^ lane / 4 % 2;
  const std::uint32_t row = values + (8 * (lane / 16) + lane % 8) * 32 + half * 16;
#pragma unroll
  for (int n = 0; n < 8; n += 2) {
    std::uint32_t b[4];
    ptx::load_matrices(b, row + n * 256);
#pragma unroll
    for (int i = 0; i < 2; ++i) ptx::mma_bf16(state.out[i][n], weights[i], b[0], b[1]);
#pragma unroll
    for (int i = 0; i < 2; ++i) ptx::mma_bf16(state.out[i][n + 1], weights[i], b[2], b[3]);
  }
}

/// Adds the values of half a tile.
__device__ void accumulate_values(std::uint32_t values, const Scores& scores, State& state) {
#pragma unroll
  for (int block = 0; block < 2; ++block) {
    std::uint32_t weights[2][4];
    compute_weights(scores, block, state, weights);
    accumulate_block(values + block * kCellBytes, weights, state);
  }
}

/// Adds the values of half a tile, and computes the scores of the next: products that do not depend
/// on each other, so that the tensor cores work while powers are computed.
__device__ void advance(
    std::uint32_t values,
    const Scores& scores,
    std::uint32_t next_keys,
    const QueryFragments& q,
    Scores& next_scores,
    State& state
) {
  std::uint32_t weights[2][2][4];
  compute_weights(scores, 0, state, weights[0]);
  compute_scores(next_keys, q, next_scores);
  compute_weights(scores, 1, state, weights[1]);
  accumulate_block(values, weights[0], state);
  accumulate_block(values + kCellBytes, weights[1], state);
}

/// The state without keys. The sink belongs to one lane of the four that share a row.
__device__ State
initial_state(const AttentionKernelArgs& args, int kv_head, int group, bool with_sink) {
  const int g = lane_id() / 4;
  const int t = lane_id() % 4;
  State state = {};
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = 32 * warp_id() + 16 * i + 8 * h + g;
      const float sink = __bfloat162float(args.sinks[kv_head * group + row % group]) * kLog2e;
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
    const AttentionKernelArgs& args, const Work& work, int kv_head, int group, const State& state
) {
  const int t = lane_id() % 4;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = 32 * warp_id() + 16 * i + 8 * h + lane_id() / 4;
      const int token = row / group;
      if (token >= work.num_tokens) continue;
      const std::size_t head = static_cast<std::size_t>(work.first_row + token) * args.num_heads +
                               kv_head * group + row % group;
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

/// How a tile's keys are shared out: `parts` runs of `length` tiles of keys, of `total`.
struct Parts {
  int total;
  int length;
  int parts;
};

__device__ Parts share_out(KeyRange visible, int splits) {
  const int total = (visible.end - visible.first + kTileKeys - 1) / kTileKeys;
  const int length = (total + splits - 1) / splits;
  return {total, length, (total + length - 1) / length};
}

__global__ __launch_bounds__(kThreads, kResidentPrefillBlocks) void attention_prefill_kernel(
    const __grid_constant__ AttentionKernelArgs args, PartialStates states
) {
  extern __shared__ uint4 stages[];
  const auto shared = static_cast<std::uint32_t>(__cvta_generic_to_shared(stages));
  const int kv_head = static_cast<int>(blockIdx.x);
  const int group = args.num_heads / args.num_kv_heads;
  const int splits = static_cast<int>(gridDim.z);
  const int split = static_cast<int>(blockIdx.z);
  Work work;
  if (!find_work(args, kPrefillRows / group, static_cast<int>(blockIdx.y), work)) return;
  const KeyRange visible = visible_keys(work, args.sliding_window);
  const Parts parts = share_out(visible, splits);
  const int begin = split * parts.length;
  const int end = min(parts.total, begin + parts.length);
  if (begin >= end) return;

  const Cells cells = find_cells(args, work, visible, kv_head);
  for (int tile = begin; tile < begin + kStages - 1; ++tile) {
    if (tile < end) {
      copy_block(cells, tile, look_up(cells, tile), shared + (tile - begin) * kStageBytes);
    }
    ptx::commit_copies();
  }
  BlockId block = look_up(cells, begin + kStages - 1);
  QueryFragments q;
  load_queries(args, work, kv_head, group, q);
  State state = initial_state(args, kv_head, group, splits == 1);
  Scores first, second;  // of a tile's halves
  const int window = args.sliding_window;
  std::uint32_t stage = shared;
  std::uint32_t fill = shared + (kStages - 1) * kStageBytes;
  ptx::wait_for_copies<kStages - 2>();
  __syncthreads();
  compute_scores(stage, q, first);
  int first_key = visible.first + begin * kTileKeys;
  mask_scores(work, group, window, first_key, first);
  raise_max(state, first);
  for (int tile = begin;; ++tile) {
    const std::uint32_t values = stage + kTileBlocks * kCellBytes;
    if (first_key + kHalfKeys >= visible.end) {
      accumulate_values(values, first, state);
      break;
    }
    advance(values, first, stage + 2 * kCellBytes, q, second, state);
    mask_scores(work, group, window, first_key + kHalfKeys, second);
    raise_max(state, second);
    if (tile + 1 == end) {
      accumulate_values(values + 2 * kCellBytes, second, state);
      break;
    }
    // The tile before this one is done with in every warp: its stage is filled again.
    ptx::wait_for_copies<kStages - 3>();
    __syncthreads();
    if (tile + kStages - 1 < end) copy_block(cells, tile + kStages - 1, block, fill);
    ptx::commit_copies();
    block = look_up(cells, tile + kStages);
    fill = stage;
    stage = stage + kStageBytes == shared + kSharedBytes ? shared : stage + kStageBytes;
    first_key += kTileKeys;
    advance(values + 2 * kCellBytes, second, stage, q, first, state);
    mask_scores(work, group, window, first_key, first);
    raise_max(state, first);
  }
  finish_sums(state);
  if (splits == 1) {
    store_rows(args, work, kv_head, group, state);
  } else {
    const std::size_t tile = static_cast<std::size_t>(blockIdx.y) * args.num_kv_heads + kv_head;
    store_state(state, states, tile * splits + split);
  }
}

/// Grid (kv heads, tiles, slices of a tile's rows): 16 threads merge a row.
__global__ __launch_bounds__(kThreads) void attention_prefill_merge_kernel(
    const __grid_constant__ AttentionKernelArgs args, PartialStates states, int splits
) {
  const int kv_head = static_cast<int>(blockIdx.x);
  const int group = args.num_heads / args.num_kv_heads;
  Work work;
  if (!find_work(args, kPrefillRows / group, static_cast<int>(blockIdx.y), work)) return;
  const Parts parts = share_out(visible_keys(work, args.sliding_window), splits);
  const int row = static_cast<int>(blockIdx.z * kMergeRows + threadIdx.x / kRowLanes);
  const std::size_t tile = static_cast<std::size_t>(blockIdx.y) * args.num_kv_heads + kv_head;
  const std::size_t first_state = tile * splits * kPrefillRows + row;
  const int head = kv_head * group + row % group;
  RowState merged = sink_state(args.sinks[head]);
  merge_parts<8>(
      merged,
      states.out + first_state * kAttentionHeadDim,
      kPrefillRows * kAttentionHeadDim,
      states.max_sum + first_state,
      kPrefillRows,
      parts.parts
  );
  if (row / group >= work.num_tokens) return;
  const std::size_t token = work.first_row + row / group;
  store_row(merged, args.out + (token * args.num_heads + head) * kAttentionHeadDim);
}

}  // namespace

void launch_attention_prefill(const AttentionKernelArgs& args, cudaStream_t stream) {
  const int tile_tokens = kPrefillRows / (args.num_heads / args.num_kv_heads);
  // Each sequence may end in a tile that is not full.
  const int num_tiles = std::min(
      (args.num_tokens + args.num_sequences * (tile_tokens - 1)) / tile_tokens,
      (args.max_query_len + tile_tokens - 1) / tile_tokens * args.num_sequences
  );
  const int splits = attention_prefill_splits(
      num_tiles, args.num_kv_heads, attention_max_keys(args, tile_tokens), args.num_multiprocessors
  );
  const PartialStates states = partial_states(args, kPrefillRows);
  check(
      cudaFuncSetAttribute(
          attention_prefill_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes
      ),
      "cudaFuncSetAttribute"
  );
  attention_prefill_kernel<<<
      dim3(args.num_kv_heads, num_tiles, splits),
      kThreads,
      kSharedBytes,
      stream>>>(args, states);
  check(cudaGetLastError(), "attention_prefill_kernel");
  if (splits == 1) return;
  attention_prefill_merge_kernel<<<
      dim3(args.num_kv_heads, num_tiles, kPrefillRows / kMergeRows),
      kThreads,
      0,
      stream>>>(args, states, splits);
  check(cudaGetLastError(), "attention_prefill_merge_kernel");
}

}  // namespace gossamer::kernels::cuda
