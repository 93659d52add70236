#pragma once

#include <cuda_bf16.h>

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

/// Thread blocks of each attention kernel that a multiprocessor runs at once.
inline constexpr int kResidentBlocks = 2;
/// The grid for decoding has at most this many times the thread blocks that run at once.
inline constexpr int kMaxDecodeWaves = 16;
inline constexpr int kPrefillRows = 128;  // query rows of a thread block: tokens x heads

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
  static_assert(kMaxDecodeWaves * kMaxGroup == kPrefillRows);
  return static_cast<std::size_t>(num_multiprocessors) * kResidentBlocks * kPrefillRows;
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

/// The state of one row, spread over a warp: lane l has columns 2 l and 2 l + 1 of out.
struct WarpRow {
  float max = kNoScore;
  float sum = 0;
  float2 out = {0, 0};
};

__device__ inline WarpRow sink_row(__nv_bfloat16 sink) {
  return {__bfloat162float(sink) * kLog2e, 1, {0, 0}};
}

__device__ inline float warp_max(float x) {
  for (int lane = 16; lane > 0; lane /= 2) x = fmaxf(x, __shfl_xor_sync(~0U, x, lane));
  return x;
}

__device__ inline float warp_sum(float x) {
  for (int lane = 16; lane > 0; lane /= 2) x += __shfl_xor_sync(~0U, x, lane);
  return x;
}

/// Merges the states of `count` parts, in order, into a warp's row. Strides are in elements.
__device__ inline void merge_parts(
    WarpRow& row,
    const float* out,
    std::size_t out_stride,
    const float2* max_sum,
    std::size_t max_sum_stride,
    int count
) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int base = 0; base < count; base += 32) {
    const bool present = base + lane < count;
    const float2 part = present ? max_sum[(base + lane) * max_sum_stride] : float2{kNoScore, 0};
    const float max = fmaxf(row.max, warp_max(part.x));
    const float old_weight = exp2f(row.max - max);
    const float weight = present ? exp2f(part.x - max) : 0;
    row.max = max;
    row.sum = row.sum * old_weight + warp_sum(part.y * weight);
    row.out = {row.out.x * old_weight, row.out.y * old_weight};
    const int parts = min(32, count - base);
#pragma unroll 16
    for (int i = 0; i < parts; ++i) {
      const float w = __shfl_sync(~0U, weight, i);
      const float2 values =
          *reinterpret_cast<const float2*>(out + (base + i) * out_stride + 2 * lane);
      row.out.x += w * values.x;
      row.out.y += w * values.y;
    }
  }
}

/// Writes the row of a query head: out / sum.
__device__ inline void store_row(const WarpRow& row, __nv_bfloat16* out) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const float scale = 1 / row.sum;
  reinterpret_cast<__nv_bfloat162*>(out)[lane] =
      __floats2bfloat162_rn(row.out.x * scale, row.out.y * scale);
}

}  // namespace gossamer::kernels::cuda
