#pragma once

#include <cuda_bf16.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/cuda/attention.cuh"
#include "kernels/step.h"

namespace gossamer::kernels::cuda {

// What the kernels of attention share: the cache's cells, and how the keys of a query row are split
// over thread blocks and brought together again.
//
// Attention over a set of keys has the state (max, sum, out): the largest score, the sum of
// exp2(score - max), and the sum of exp2(score - max) * value. Scores are in units of log2(e), so
// that the softmax is made of powers of two. States of disjoint sets are merged by scaling them to
// the same max; the sink is the state (sink, 1, 0).

inline constexpr int kAttentionHeadDim = 64;
inline constexpr int kCellElements = kBlockSize * kAttentionHeadDim;
inline constexpr int kMaxGroup = 8;  // query heads of a kv head
inline constexpr float kLog2e = 1.4426950408889634F;
inline constexpr float kScoreScale = 0.125F * kLog2e;
/// The max of a state without keys: below every score, and finite, so that differences are numbers.
inline constexpr float kNoScore = -1e30F;

/// A thread block that decodes sees at least this many keys, if there are so many.
inline constexpr int kMinDecodeKeys = 128;
/// A grid that decodes has at most this many thread blocks for each multiprocessor, if it splits.
inline constexpr int kMaxDecodeBlocks = 32;
inline constexpr int kPrefillRows = 128;  // query rows of a thread block: tokens x heads
/// Thread blocks for prefill that a multiprocessor runs at once.
inline constexpr int kResidentPrefillBlocks = 2;

/// Positions [first, end).
struct KeyRange {
  int first;
  int end;
};

/// Thread blocks that share the keys of one sequence and kv head when each sequence has one query
/// row and sees at most `max_keys` keys. At least 1.
int attention_decode_splits(
    int num_sequences, int num_kv_heads, int max_keys, int num_multiprocessors
);

/// Thread blocks that share the keys of one tile of query rows. At least 1.
int attention_prefill_splits(
    int num_tiles, int num_kv_heads, int max_keys, int num_multiprocessors
);

/// Keys that a query row can see at most, when rows of the same tile span `tile_tokens` positions.
int attention_max_keys(const AttentionKernelArgs& args, int tile_tokens);

void launch_attention_decode(const AttentionKernelArgs& args, cudaStream_t stream);
void launch_attention_prefill(const AttentionKernelArgs& args, cudaStream_t stream);

/// States of rows that thread blocks have left in scratch: of each part, `rows` states.
struct PartialStates {
  float* out;       // [parts, rows, 64]
  float2* max_sum;  // [parts, rows]
  int rows;
};

/// Room for the states of a launch, in rows.
constexpr std::size_t partial_rows(int num_multiprocessors) {
  return static_cast<std::size_t>(num_multiprocessors) *
         std::max(kMaxDecodeBlocks * kMaxGroup, kResidentPrefillBlocks * kPrefillRows);
}

inline PartialStates partial_states(const AttentionKernelArgs& args, int rows) {
  auto* out = static_cast<float*>(args.scratch);
  auto* max_sum = out + partial_rows(args.num_multiprocessors) * kAttentionHeadDim;
  return {out, reinterpret_cast<float2*>(max_sum), rows};
}

/// Counts the thread blocks that are done, one count for each sequence and kv head. Zero between
/// launches.
inline unsigned* arrival_counts(const AttentionKernelArgs& args) {
  const PartialStates states = partial_states(args, 0);
  return reinterpret_cast<unsigned*>(states.max_sum + partial_rows(args.num_multiprocessors));
}

/// Lanes that bring a row together; lane l of them has columns 4 l to 4 l + 3 of out. The functions
/// below are called by whole warps, with two rows.
inline constexpr int kRowLanes = 16;

struct RowState {
  float max = kNoScore;
  float sum = 0;
  float4 out = {0, 0, 0, 0};
};

__device__ inline RowState sink_state(__nv_bfloat16 sink) {
  return {__bfloat162float(sink) * kLog2e, 1, {0, 0, 0, 0}};
}

/// Merges the states of `count` parts, in order, into a row; reads kBatch at once. Strides are in
/// elements.
template <int kBatch>
__device__ void merge_parts(
    RowState& row,
    const float* out,
    std::size_t out_stride,
    const float2* max_sum,
    std::size_t max_sum_stride,
    int count
) {
  static_assert(kBatch <= kRowLanes);
  const int lane = static_cast<int>(threadIdx.x % kRowLanes);
  for (int base = 0; base < count; base += kBatch) {
    const bool present = lane < kBatch && base + lane < count;
    const float2 part = present ? max_sum[(base + lane) * max_sum_stride] : float2{kNoScore, 0};
    float4 values[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int part_index =
          min(base + i, count - 1);  // its weight is zero when it is not base + i
      const float* from = out + part_index * out_stride + 4 * lane;
      values[i] = *reinterpret_cast<const float4*>(from);
    }
    float max = fmaxf(row.max, part.x);
    for (int n = kRowLanes / 2; n > 0; n /= 2) max = fmaxf(max, __shfl_xor_sync(~0U, max, n));
    const float scale = exp2f(row.max - max);
    const float weight = present ? exp2f(part.x - max) : 0;
    float sum = part.y * weight;
    for (int n = kRowLanes / 2; n > 0; n /= 2) sum += __shfl_xor_sync(~0U, sum, n);
    row.max = max;
    row.sum = row.sum * scale + sum;
    row.out = {row.out.x * scale, row.out.y * scale, row.out.z * scale, row.out.w * scale};
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const float w = __shfl_sync(~0U, weight, i, kRowLanes);
      row.out.x += w * values[i].x;
      row.out.y += w * values[i].y;
      row.out.z += w * values[i].z;
      row.out.w += w * values[i].w;
    }
  }
}

__device__ inline std::uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return reinterpret_cast<const std::uint32_t&>(pair);
}

/// Writes the result of a row: out / sum.
__device__ inline void store_row(const RowState& row, __nv_bfloat16* out) {
  const int lane = static_cast<int>(threadIdx.x % kRowLanes);
  const float scale = 1 / row.sum;
  reinterpret_cast<uint2*>(out)[lane] = {
      pack_bf16(row.out.x * scale, row.out.y * scale),
      pack_bf16(row.out.z * scale, row.out.w * scale),
  };
}

}  // namespace gossamer::kernels::cuda
