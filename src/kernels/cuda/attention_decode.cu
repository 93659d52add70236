#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_split.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/ptx/attention_mma.cuh"

// Attention of sequences with one query row: out = sum_j p_j v_j, p = softmax over the keys in the
// window and the sink.
//
// Grid (splits, kv heads, sequences). The keys of a (sequence, kv head) are cut into equal runs of
// steps of 32 keys, one run for each thread block; a block's warps take its steps in turn. All
// query heads of the kv head are done at once, so the cache is read once, straight into the
// registers that the tensor cores want:
//   S^T = K Q^T   16 keys x 64 by 64 x 8 heads
//   O^T = V^T P^T 64 x 16 keys by 16 keys x 8 heads
// An mma does not care how the summed index is numbered, nor S^T how its rows are. Both are
// numbered so that each lane reads 16 bytes at a time. Lane 4 g + t:
//   * of a row of keys, columns 32 i + 8 t + [0, 8) for i = 0, 1: the summed indices of mma steps
//     2 i and 2 i + 1. The query is read in the same order.
//   * of a row d of values, the eight keys 8 (t % 2) + [0, 8) of the step's block t / 2. The first
//     four are the lane's summed indices in mma 0, the other four in mma 1. So the tile of keys for
//     mma j has in its row r + 8 h the key 8 (r / 2 % 2) + 4 j + 2 h + r % 2 of block r / 4.
// The block that finishes a (sequence, kv head) last merges the states of all, in order.
//
// Bound by reading the cache: 2 x 2 x 64 bytes a key. A warp has 4 to 8 KB under way, a
// multiprocessor 16 warps.

namespace gossamer::kernels::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kStepBlocks = 2;
constexpr int kStepKeys = kStepBlocks * kBlockSize;
constexpr int kMinSteps = 4;                       // of a thread block
constexpr int kOutStride = kAttentionHeadDim + 4;  // keeps a warp's stores in different banks
static_assert(kStepKeys == 32 && kAttentionHeadDim == 64 && kMaxGroup == 8);

/// Eight rows' worth of 16 bytes, as they come from a cell.
struct Tile {
  uint4 rows[2][2][2];
};

/// The steps of one warp, and what it needs to find their cells.
struct Run {
  const std::int32_t* block_table;
  int end_block;  // of the sequence
  int step;
  int end_step;
  std::size_t cell_stride;  // elements from a block to the next
};

/// The block that this lane reads keys of and the one that it reads values of; kNoBlock for none.
struct LaneBlocks {
  BlockId keys;
  BlockId values;
};

/// What a warp knows of its heads. Lane 4 g + t has heads 2 t and 2 t + 1; sums are over its keys
/// only, and of out it has rows d = 16 m + g and 16 m + g + 8.
struct State {
  float max[2] = {kNoScore, kNoScore};
  float sum[2] = {0, 0};
  float out[4][4] = {};
};

struct SharedStates {
  float out[kWarps][kMaxGroup][kOutStride];
  float2 max_sum[kWarps][kMaxGroup];
  bool is_last;
};

__device__ int lane_id() {
  return static_cast<int>(threadIdx.x % 32);
}

__device__ BlockId block_at(const Run& run, int index) {
  return index < run.end_block ? run.block_table[index] : kNoBlock;
}

__device__ LaneBlocks look_up(const Run& run, int step) {
  const int lane = lane_id();
  return {
      block_at(run, step * kStepBlocks + lane / 16),
      block_at(run, step * kStepBlocks + lane % 4 / 2),
  };
}

__device__ uint4 load_16(const __nv_bfloat16* from) {
  return __ldcs(reinterpret_cast<const uint4*>(from));
}

/// rows[j][h][i]: for mma tile j, row g + 8 h, columns 32 i + 8 t.
__device__ Tile load_keys(const Run& run, const __nv_bfloat16* head_cells, BlockId block) {
  const int g = lane_id() / 4;
  const int row = 8 * (g / 2 % 2) + g % 2;
  const __nv_bfloat16* from =
      head_cells + block * run.cell_stride + row * kAttentionHeadDim + 8 * (lane_id() % 4);
  Tile tile = {};
  if (block == kNoBlock) return tile;
#pragma unroll
  for (int j = 0; j < 2; ++j) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        tile.rows[j][h][i] = load_16(from + (4 * j + 2 * h) * kAttentionHeadDim + 32 * i);
      }
    }
  }
  return tile;
}

/// rows[m / 2][m % 2][h]: row d = 16 m + 8 h + g, this lane's eight keys.
__device__ Tile load_values(const Run& run, const __nv_bfloat16* head_cells, BlockId block) {
  const int lane = lane_id();
  const __nv_bfloat16* from =
      head_cells + block * run.cell_stride + lane / 4 * kBlockSize + 8 * (lane % 2);
  Tile tile = {};
  if (block == kNoBlock) return tile;
#pragma unroll
  for (int m = 0; m < 4; ++m) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      tile.rows[m / 2][m % 2][h] = load_16(from + (16 * m + 8 * h) * kBlockSize);
    }
  }
  return tile;
}

/// Zeros the values of keys from `end` on, which may be anything, even NaN.
__device__ void clear_values(Tile& values, int step, int end) {
  const int t = lane_id() % 4;
  const int valid = end - (step * kStepKeys + kBlockSize * (t / 2) + 8 * (t % 2));
  uint4* rows = &values.rows[0][0][0];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    std::uint32_t* words = &rows[i].x;
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      if (valid <= 2 * w) {
        words[w] = 0;
      } else if (valid == 2 * w + 1) {
        words[w] &= 0xFFFF;
      }
    }
  }
}

/// scores[j] of mma tile j: [2 h + e] is of the key in row g + 8 h, head 2 t + e.
__device__ void compute_scores(const Tile& keys, const uint4 (&q)[2], float (&scores)[2][4]) {
#pragma unroll
  for (int j = 0; j < 2; ++j) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const uint4 low = keys.rows[j][0][i];
      const uint4 high = keys.rows[j][1][i];
      ptx::mma_bf16(scores[j], {low.x, high.x, low.y, high.y}, q[i].x, q[i].y);
      ptx::mma_bf16(scores[j], {low.z, high.z, low.w, high.w}, q[i].z, q[i].w);
    }
  }
}

__device__ void mask_scores(float (&scores)[2][4], int step, KeyRange visible) {
  const int g = lane_id() / 4;
  const int first = step * kStepKeys + kBlockSize * (g / 4) + 8 * (g / 2 % 2) + g % 2;
#pragma unroll
  for (int j = 0; j < 2; ++j) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int position = first + 4 * j + 2 * h;
      if (position < visible.first || position >= visible.end) {
        scores[j][2 * h] = scores[j][2 * h + 1] = -INFINITY;
      }
    }
  }
}

/// Scores become powers of two relative to the new max; the rest of the state is scaled to it.
__device__ void update_softmax(State& state, float (&scores)[2][4]) {
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    float max = fmaxf(fmaxf(scores[0][e], scores[0][2 + e]), fmaxf(scores[1][e], scores[1][2 + e]));
    for (int lanes = 4; lanes < 32; lanes *= 2) max = fmaxf(max, __shfl_xor_sync(~0U, max, lanes));
    max = fmaxf(max * kScoreScale, state.max[e]);
    const float scale = ptx::exp2_approx(state.max[e] - max);
    state.max[e] = max;
    state.sum[e] *= scale;
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      state.out[m][e] *= scale;
      state.out[m][2 + e] *= scale;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float& score = scores[i / 2][2 * (i % 2) + e];
      score = ptx::exp2_approx(fmaf(score, kScoreScale, -max));
      state.sum[e] += score;
    }
  }
}

__device__ std::uint32_t pack(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const std::uint32_t&>(pair);
}

__device__ void accumulate_values(State& state, const Tile& values, const float (&weights)[2][4]) {
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const std::uint32_t b0 = ptx::transpose_8x8(pack(weights[j][0], weights[j][1]));
    const std::uint32_t b1 = ptx::transpose_8x8(pack(weights[j][2], weights[j][3]));
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      const uint4 low = values.rows[m / 2][m % 2][0];
      const uint4 high = values.rows[m / 2][m % 2][1];
      if (j == 0) ptx::mma_bf16(state.out[m], {low.x, high.x, low.y, high.y}, b0, b1);
      if (j == 1) ptx::mma_bf16(state.out[m], {low.z, high.z, low.w, high.w}, b0, b1);
    }
  }
}

/// The query of head g, or zeros for g >= group: q[i] has columns 32 i + 8 t + [0, 8).
__device__ void load_query(const __nv_bfloat16* head_rows, int group, uint4 (&q)[2]) {
  const int g = lane_id() / 4;
  const __nv_bfloat16* from = head_rows + g * kAttentionHeadDim + 8 * (lane_id() % 4);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    q[i] = g < group ? *reinterpret_cast<const uint4*>(from + 32 * i) : uint4{};
  }
}

/// The state of a warp's steps. The next step's keys are under way while one's values are used.
__device__ State attend(
    Run run,
    const __nv_bfloat16* keys,
    const __nv_bfloat16* values,
    const uint4 (&q)[2],
    KeyRange visible
) {
  State state;
  LaneBlocks blocks = look_up(run, run.step);
  LaneBlocks next = look_up(run, run.step + kWarps);
  Tile key_tile = load_keys(run, keys, blocks.keys);
  for (; run.step < run.end_step; run.step += kWarps) {
    Tile value_tile = load_values(run, values, blocks.values);
    float scores[2][4] = {};
    compute_scores(key_tile, q, scores);
    blocks = next;
    next = look_up(run, run.step + 2 * kWarps);
    if (run.step + kWarps < run.end_step) key_tile = load_keys(run, keys, blocks.keys);
    mask_scores(scores, run.step, visible);
    update_softmax(state, scores);
    if ((run.step + 1) * kStepKeys > visible.end) clear_values(value_tile, run.step, visible.end);
    accumulate_values(state, value_tile, scores);
  }
  return state;
}

__device__ void share_state(const State& state, SharedStates& shared) {
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int g = lane_id() / 4;
  const int t = lane_id() % 4;
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    float sum = state.sum[e];
    for (int lanes = 4; lanes < 32; lanes *= 2) sum += __shfl_xor_sync(~0U, sum, lanes);
    if (g == 0) shared.max_sum[warp][2 * t + e] = {state.max[e], sum};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      shared.out[warp][2 * t + e][8 * i + g] = state.out[i / 2][2 * (i % 2) + e];
    }
  }
}

/// Whether this thread block is the last of `live` to come here, whose writes are all visible then.
__device__ bool arrives_last(unsigned* count, int live, bool& shared) {
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    shared = atomicAdd(count, 1U) == static_cast<unsigned>(live - 1);
    if (shared) *count = 0;
  }
  __syncthreads();
  if (shared) __threadfence();
  return shared;
}

__global__ __launch_bounds__(kWarps * 32, kResidentBlocks) void attention_decode_kernel(
    const __grid_constant__ AttentionKernelArgs args, PartialStates states, unsigned* arrivals
) {
  __shared__ SharedStates shared;
  const int split = static_cast<int>(blockIdx.x);
  const int kv_head = static_cast<int>(blockIdx.y);
  const int sequence = static_cast<int>(blockIdx.z);
  const int row = args.cu_seqlens_q[sequence];
  if (args.cu_seqlens_q[sequence + 1] - row != 1) return;

  const int context = args.context_lens[sequence];
  const int hidden = args.sliding_window > 0 ? max(0, context - args.sliding_window) : 0;
  const int first_step = hidden / kStepKeys;
  const int num_steps = (context + kStepKeys - 1) / kStepKeys - first_step;
  const int splits = static_cast<int>(gridDim.x);
  const int block_steps = max(kMinSteps, (num_steps + splits - 1) / splits);
  const int live = max(1, (num_steps + block_steps - 1) / block_steps);
  if (split >= live) return;

  const int warp = static_cast<int>(threadIdx.x / 32);
  const int group = args.num_heads / args.num_kv_heads;
  const std::size_t first_head = static_cast<std::size_t>(row) * args.num_heads + kv_head * group;
  const std::size_t head_cell = static_cast<std::size_t>(kv_head) * kCellElements;
  uint4 q[2];
  load_query(args.q + first_head * kAttentionHeadDim, group, q);
  const Run run = {
      .block_table = args.block_table + args.block_table_starts[sequence],
      .end_block = (context + kBlockSize - 1) / kBlockSize,
      .step = first_step + split * block_steps + warp,
      .end_step = first_step + min(num_steps, (split + 1) * block_steps),
      .cell_stride = static_cast<std::size_t>(args.num_kv_heads) * kCellElements,
  };
  share_state(
      attend(run, args.keys + head_cell, args.values + head_cell, q, {hidden, context}), shared
  );
  __syncthreads();

  // From here on, a warp is a head.
  static_assert(kWarps >= kMaxGroup);
  __nv_bfloat16* out = args.out + (first_head + warp) * kAttentionHeadDim;
  const __nv_bfloat16 sink = args.sinks[min(kv_head * group + warp, args.num_heads - 1)];
  WarpRow merged = live == 1 ? sink_row(sink) : WarpRow{};
  if (warp < group) {
    merge_parts(
        merged,
        shared.out[0][warp],
        kMaxGroup * kOutStride,
        &shared.max_sum[0][warp],
        kMaxGroup,
        kWarps
    );
  }
  if (live == 1) {
    if (warp < group) store_row(merged, out);
    return;
  }
  const int pair = sequence * args.num_kv_heads + kv_head;
  const std::size_t first_state = static_cast<std::size_t>(pair) * splits * kMaxGroup + warp;
  const std::size_t own_state = first_state + static_cast<std::size_t>(split) * kMaxGroup;
  reinterpret_cast<float2*>(states.out + own_state * kAttentionHeadDim)[lane_id()] = merged.out;
  if (lane_id() == 0) states.max_sum[own_state] = {merged.max, merged.sum};
  if (!arrives_last(arrivals + pair, live, shared.is_last) || warp >= group) return;
  WarpRow total = sink_row(sink);
  merge_parts(
      total,
      states.out + first_state * kAttentionHeadDim,
      kMaxGroup * kAttentionHeadDim,
      states.max_sum + first_state,
      kMaxGroup,
      live
  );
  store_row(total, out);
}

}  // namespace

void launch_attention_decode(const AttentionKernelArgs& args, cudaStream_t stream) {
  // A window begins anywhere in its first step.
  const int splits = attention_decode_splits(
      args.num_sequences,
      args.num_kv_heads,
      attention_max_keys(args, kStepKeys),
      args.num_multiprocessors
  );
  const dim3 grid(splits, args.num_kv_heads, args.num_sequences);
  attention_decode_kernel<<<grid, kWarps * 32, 0, stream>>>(
      args, partial_states(args, kMaxGroup), arrival_counts(args)
  );
  check(cudaGetLastError(), "attention_decode_kernel");
}

}  // namespace gossamer::kernels::cuda
