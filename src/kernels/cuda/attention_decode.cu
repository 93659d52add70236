#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cuda/atomic>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_split.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/ptx/exp2.cuh"
#include "kernels/cuda/ptx/ldmatrix.cuh"
#include "kernels/cuda/ptx/mma.cuh"

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

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kStepBlocks = 2;
constexpr int kStepKeys = kStepBlocks * kBlockSize;
constexpr int kMinSteps = kMinDecodeKeys / kStepKeys;  // of a thread block
constexpr int kResidentBlocks = 4;                     // of a multiprocessor
constexpr int kOutStride = kAttentionHeadDim + 4;      // keeps a warp's stores in different banks
static_assert(kThreads == kMaxGroup * kRowLanes);
static_assert(kStepKeys == 32 && kAttentionHeadDim == 64 && kMaxGroup == 8);

/// Eight rows' worth of 16 bytes, as they come from a cell.
struct Tile {
  uint4 rows[2][2][2];
};

/// What a warp has to do: every kWarps-th step from `step` on.
struct Run {
  int step;
  int end_step;
  KeyRange visible;
  int block_table_start;
  int kv_head;
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

/// The block with an index in the sequence; kNoBlock beyond the context.
__device__ BlockId block_at(const AttentionKernelArgs& args, const Run& run, int index) {
  if (index * kBlockSize >= run.visible.end) return kNoBlock;
  return args.block_table[run.block_table_start + index];
}

__device__ LaneBlocks look_up(const AttentionKernelArgs& args, const Run& run, int step) {
  const int lane = lane_id();
  return {
      block_at(args, run, step * kStepBlocks + lane / 16),
      block_at(args, run, step * kStepBlocks + lane % 4 / 2),
  };
}

/// Elements before the cell of a block and the run's kv head.
__device__ std::size_t cell_offset(const AttentionKernelArgs& args, const Run& run, BlockId block) {
  return (static_cast<std::size_t>(block) * args.num_kv_heads + run.kv_head) * kCellElements;
}

__device__ uint4 load_16(const __nv_bfloat16* from) {
  return __ldcs(reinterpret_cast<const uint4*>(from));
}

/// rows[j][h][i]: for mma tile j, row g + 8 h, columns 32 i + 8 t.
__device__ Tile load_keys(const AttentionKernelArgs& args, const Run& run, BlockId block) {
  Tile tile = {};
  if (block == kNoBlock) return tile;
  const int g = lane_id() / 4;
  const int row = 8 * (g / 2 % 2) + g % 2;
  const __nv_bfloat16* from =
      args.keys + cell_offset(args, run, block) + row * kAttentionHeadDim + 8 * (lane_id() % 4);
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
__device__ Tile load_values(const AttentionKernelArgs& args, const Run& run, BlockId block) {
  Tile tile = {};
  if (block == kNoBlock) return tile;
  const int lane = lane_id();
  const __nv_bfloat16* from =
      args.values + cell_offset(args, run, block) + lane / 4 * kBlockSize + 8 * (lane % 2);
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

__device__ void accumulate_values(State& state, const Tile& values, const float (&weights)[2][4]) {
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const std::uint32_t b0 = ptx::transpose_8x8(pack_bf16(weights[j][0], weights[j][1]));
    const std::uint32_t b1 = ptx::transpose_8x8(pack_bf16(weights[j][2], weights[j][3]));
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
__device__ State
attend(const AttentionKernelArgs& args, Run run, const __nv_bfloat16* query_rows, int group) {
  State state;
  LaneBlocks blocks = look_up(args, run, run.step);
  uint4 q[2];
  load_query(query_rows, group, q);
  LaneBlocks next = look_up(args, run, run.step + kWarps);
  Tile keys = load_keys(args, run, blocks.keys);
  for (; run.step < run.end_step; run.step += kWarps) {
    Tile values = load_values(args, run, blocks.values);
    float scores[2][4] = {};
    compute_scores(keys, q, scores);
    blocks = next;
    next = look_up(args, run, run.step + 2 * kWarps);
    if (run.step + kWarps < run.end_step) keys = load_keys(args, run, blocks.keys);
    mask_scores(scores, run.step, run.visible);
    update_softmax(state, scores);
    const int end = run.visible.end;
    if ((run.step + 1) * kStepKeys > end) clear_values(values, run.step, end);
    accumulate_values(state, values, scores);
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

/// Whether this thread block is the last of `live` to come here. If so, it sees all that the others
/// wrote before.
__device__ bool arrives_last(unsigned* count, int live, bool& shared) {
  __syncthreads();
  if (threadIdx.x == 0) {
    const ::cuda::atomic_ref<unsigned, ::cuda::thread_scope_device> arrived(*count);
    shared = arrived.fetch_add(1, ::cuda::memory_order_acq_rel) == static_cast<unsigned>(live - 1);
    if (shared) arrived.store(0, ::cuda::memory_order_relaxed);
  }
  __syncthreads();
  return shared;
}

/// The share of a thread block in the steps of a sequence: [begin, end), one of `live` shares.
struct Share {
  int begin;
  int end;
  int live;
};

__device__ Share take_share(KeyRange visible) {
  const int first = visible.first / kStepKeys;
  const int steps = (visible.end + kStepKeys - 1) / kStepKeys - first;
  const int splits = static_cast<int>(gridDim.x);
  const int length = max(kMinSteps, (steps + splits - 1) / splits);
  const int begin = static_cast<int>(blockIdx.x) * length;
  return {
      .begin = first + begin,
      .end = first + min(steps, begin + length),
      .live = max(1, (steps + length - 1) / length),
  };
}

/// Brings the states of a thread block's warps together, a row for every 16 threads, and of all
/// thread blocks in the last that arrives; that one writes the results of the rows that exist.
__device__ void finish_rows(
    SharedStates& shared,
    const PartialStates& states,
    unsigned* arrivals,
    int live,
    __nv_bfloat16 sink,
    __nv_bfloat16* out
) {
  const int row = static_cast<int>(threadIdx.x / kRowLanes);
  RowState merged = live == 1 ? sink_state(sink) : RowState{};
  merge_parts<kWarps>(
      merged, shared.out[0][row], kMaxGroup * kOutStride, &shared.max_sum[0][row], kMaxGroup, kWarps
  );
  if (live > 1) {
    const std::size_t pair = blockIdx.z * gridDim.y + blockIdx.y;
    const std::size_t first = pair * gridDim.x * kMaxGroup + row;
    const std::size_t own = first + blockIdx.x * kMaxGroup;
    const int lane = static_cast<int>(threadIdx.x % kRowLanes);
    reinterpret_cast<float4*>(states.out + own * kAttentionHeadDim)[lane] = merged.out;
    if (lane == 0) states.max_sum[own] = {merged.max, merged.sum};
    if (!arrives_last(arrivals + pair, live, shared.is_last)) return;
    merged = sink_state(sink);
    merge_parts<kRowLanes>(
        merged,
        states.out + first * kAttentionHeadDim,
        kMaxGroup * kAttentionHeadDim,
        states.max_sum + first,
        kMaxGroup,
        live
    );
  }
  if (out != nullptr) store_row(merged, out);
}

__global__ __launch_bounds__(kThreads, kResidentBlocks) void attention_decode_kernel(
    const __grid_constant__ AttentionKernelArgs args, PartialStates states, unsigned* arrivals
) {
  __shared__ SharedStates shared;
  const int kv_head = static_cast<int>(blockIdx.y);
  const int sequence = static_cast<int>(blockIdx.z);
  const int group = args.num_heads / args.num_kv_heads;
  // All that the rest waits for, at once.
  const int token = args.cu_seqlens_q[sequence];
  const int next_token = args.cu_seqlens_q[sequence + 1];
  const int context = args.context_lens[sequence];
  const int block_table_start = args.block_table_starts[sequence];
  const KeyRange visible = {
      args.sliding_window > 0 ? max(0, context - args.sliding_window) : 0, context};
  const Share share = take_share(visible);
  if (next_token - token != 1 || static_cast<int>(blockIdx.x) >= share.live) return;

  const Run run = {
      .step = share.begin + static_cast<int>(threadIdx.x / 32),
      .end_step = share.end,
      .visible = visible,
      .block_table_start = block_table_start,
      .kv_head = kv_head,
  };
  const std::size_t first_head = static_cast<std::size_t>(token) * args.num_heads + kv_head * group;
  const State state = attend(args, run, args.q + first_head * kAttentionHeadDim, group);
  const int own_row = static_cast<int>(threadIdx.x / kRowLanes);
  const __nv_bfloat16 sink = args.sinks[kv_head * group + min(own_row, group - 1)];
  share_state(state, shared);
  __syncthreads();
  __nv_bfloat16* out = args.out + (first_head + own_row) * kAttentionHeadDim;
  finish_rows(shared, states, arrivals, share.live, sink, own_row < group ? out : nullptr);
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
  attention_decode_kernel<<<grid, kThreads, 0, stream>>>(
      args, partial_states(args, kMaxGroup), arrival_counts(args)
  );
  check(cudaGetLastError(), "attention_decode_kernel");
}

}  // namespace gossamer::kernels::cuda
