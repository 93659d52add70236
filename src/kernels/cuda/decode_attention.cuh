#pragma once

// Attention of the persistent decode step: one query, all heads of a key-value head together.
//
// Scores: mma with the queries as A (rows 0-7: the heads rounded to bf16, rows 8-15: what that left out)
// and 8 keys as B; so the sum of rows g and g + 8 is the score of head g. Probabilities are split in the
// same way and multiplied with the transposed values of the cache. A warp takes a block of 16 positions at
// a time. Bound by reading keys and values: 4 KB a block and head.

#include <cuda_bf16.h>

#include <cstdint>

#include "kernels/cuda/decode_step.cuh"
#include "kernels/cuda/ptx/grid_sync.cuh"
#include "kernels/cuda/ptx/mma.cuh"
#include "kernels/step.h"

namespace gossamer::kernels::cuda {

inline constexpr int kHeadDim = 64;
inline constexpr int kMaxGroup = 8;       // query heads of a key-value head
inline constexpr int kMaxSplits = 16;     // blocks of the grid that share a key-value head
inline constexpr int kBlocksPerSplit = 32;  // cache blocks that are worth another block of the grid
inline constexpr int kAttentionWarps = 16;
/// A head's unnormalised output, its running maximum (in powers of two) and the sum of its weights.
inline constexpr int kPartialFloats = kHeadDim + 2;
inline constexpr float kLog2E = 1.4426950408889634F;

__device__ inline std::uint32_t as_word(__nv_bfloat162 pair) {
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}

/// A pair as bf16, and what the rounding left out.
__device__ inline void split_pair(float a, float b, std::uint32_t& rounded, std::uint32_t& rest) {
  const __nv_bfloat162 high = __floats2bfloat162_rn(a, b);
  rounded = as_word(high);
  rest = as_word(__floats2bfloat162_rn(a - __low2float(high), b - __high2float(high)));
}

/// Rotates the pair (first, second) = elements i and i + 32 of a head.
__device__ inline float2 rotate_pair(float first, float second, float cosine, float sine) {
  return {first * cosine - second * sine, second * cosine + first * sine};
}

// Lane t holds of a head vector dimensions 8t..8t + 7 and 32 + 8t..32 + 8t + 7. mma step s takes four of
// them, the same ones of queries and keys: 32 (s / 2) + 8t + 4 (s % 2) + {0, 1, 2, 3}.

/// Operand A for the queries of a key-value head: rotated, scaled for exp2.
struct Queries {
  std::uint32_t rounded[4][2];
  std::uint32_t rest[4][2];
};

/// heads: f32 [group, 64] before rotation; rope: 32 cosines, then 32 sines. Lanes of heads past the group
/// hold zeros.
__device__ inline Queries load_queries(const float* heads, int group, const float* rope, int lane) {
  Queries queries{};
  const int head = lane / 4;
  const int t = lane % 4;
  if (head >= group) return queries;
  constexpr float kScale = 0.125F * kLog2E;
  const float* q = heads + head * kHeadDim + 8 * t;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int d = 2 * i;
    const float2 low = __ldcg(reinterpret_cast<const float2*>(q + d));
    const float2 high = __ldcg(reinterpret_cast<const float2*>(q + 32 + d));
    const float* cosines = rope + 8 * t + d;
    const float2 a = rotate_pair(low.x, high.x, cosines[0], cosines[32]);
    const float2 b = rotate_pair(low.y, high.y, cosines[1], cosines[33]);
    split_pair(a.x * kScale, b.x * kScale, queries.rounded[i / 2][i % 2], queries.rest[i / 2][i % 2]);
    split_pair(
        a.y * kScale, b.y * kScale, queries.rounded[2 + i / 2][i % 2], queries.rest[2 + i / 2][i % 2]
    );
  }
  return queries;
}

/// A warp's running softmax over its keys, for head g = lane / 4.
struct SoftmaxState {
  float out[8][4] = {};  // [dims 8j..][as mma's c: (g, 2t), (g, 2t + 1), and the rest's share]
  float maximum = -INFINITY;
  float sum = 0;  // of this lane's keys
};

/// Keys of a tile of 8 columns: column n is key 4 (n / 2) + n % 2 + 2 * tile of the block, so that lane t
/// has keys 4t..4t + 3 in its two tiles.
__device__ inline int key_of_column(int column, int tile) {
  return 4 * (column / 2) + column % 2 + 2 * tile;
}

/// Scores of this lane's head g with keys 4t..4t + 3 of a cell, in powers of two.
__device__ inline void score_block(
    const Queries& queries, const __nv_bfloat16* keys, int lane, float (&scores)[4]
) {
  const int g = lane / 4;
  const int t = lane % 4;
#pragma unroll
  for (int tile = 0; tile < 2; ++tile) {
    const __nv_bfloat16* key = keys + key_of_column(g, tile) * kHeadDim + 8 * t;
    const uint4 low = __ldcg(reinterpret_cast<const uint4*>(key));
    const uint4 high = __ldcg(reinterpret_cast<const uint4*>(key + 32));
    const std::uint32_t b[4][2] = {{low.x, low.y}, {low.z, low.w}, {high.x, high.y}, {high.z, high.w}};
    float c[4] = {};
#pragma unroll
    for (int s = 0; s < 4; ++s) {
      ptx::mma_bf16(
          c, queries.rounded[s][0], queries.rest[s][0], queries.rounded[s][1], queries.rest[s][1],
          b[s][0], b[s][1]
      );
    }
    scores[2 * tile] = c[0] + c[2];
    scores[2 * tile + 1] = c[1] + c[3];
  }
}

/// Takes a block of 16 positions into the softmax. positions: of the block's first key; only keys in
/// [begin, end) count, at least one of them in the block.
__device__ inline void attend_block(
    const Queries& queries,
    const __nv_bfloat16* keys,
    const __nv_bfloat16* values,
    int position,
    int begin,
    int end,
    int lane,
    SoftmaxState& state
) {
  const int g = lane / 4;
  const int t = lane % 4;
  uint2 v[8];
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    v[j] = __ldcg(reinterpret_cast<const uint2*>(values + (8 * j + g) * kBlockSize + 4 * t));
  }
  float scores[4];
  score_block(queries, keys, lane, scores);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int key = position + 4 * t + i;
    if (key < begin || key >= end) scores[i] = -INFINITY;
  }
  float largest = fmaxf(fmaxf(scores[0], scores[1]), fmaxf(scores[2], scores[3]));
  largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFU, largest, 1));
  largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFU, largest, 2));
  const float maximum = fmaxf(state.maximum, largest);
  const float shrink = exp2f(state.maximum - maximum);
  state.maximum = maximum;
  float p[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) p[i] = exp2f(scores[i] - maximum);
  state.sum = state.sum * shrink + ((p[0] + p[1]) + (p[2] + p[3]));
  // Operand A wants columns 2t, 2t + 1 and 2t + 8, 2t + 9: keys 4t, 4t + 1 and 4t + 2, 4t + 3 here.
  std::uint32_t rounded[2];
  std::uint32_t rest[2];
  split_pair(p[0], p[1], rounded[0], rest[0]);
  split_pair(p[2], p[3], rounded[1], rest[1]);
#pragma unroll
  for (int j = 0; j < 8; ++j) {
#pragma unroll
    for (float& value : state.out[j]) value *= shrink;
    // A value the cache has never held may be anything, and 0 times it must be 0.
    if (position + 4 * t + 1 >= end) v[j].x = position + 4 * t >= end ? 0 : v[j].x & 0xFFFFU;
    if (position + 4 * t + 3 >= end) v[j].y = position + 4 * t + 2 >= end ? 0 : v[j].y & 0xFFFFU;
    ptx::mma_bf16(state.out[j], rounded[0], rest[0], rounded[1], rest[1], v[j].x, v[j].y);
  }
}

/// Writes a warp's partial results, [kMaxGroup][kPartialFloats].
__device__ inline void store_partial(const SoftmaxState& state, float* partial, int lane) {
  const int t = lane % 4;
  float* head = partial + lane / 4 * kPartialFloats;
  float sum = state.sum + __shfl_xor_sync(0xFFFFFFFFU, state.sum, 1);
  sum += __shfl_xor_sync(0xFFFFFFFFU, sum, 2);
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    head[8 * j + 2 * t] = state.out[j][0] + state.out[j][2];
    head[8 * j + 2 * t + 1] = state.out[j][1] + state.out[j][3];
  }
  if (t == 0) {
    head[kHeadDim] = state.maximum;
    head[kHeadDim + 1] = sum;
  }
}

/// One element of partial results put together: the output, its maximum and sum.
struct Merged {
  float out = 0;
  float maximum = -INFINITY;
  float sum = 0;

  __device__ void add(float other_out, float other_maximum, float other_sum) {
    if (other_maximum == -INFINITY) return;
    const float larger = fmaxf(maximum, other_maximum);
    const float mine = exp2f(maximum - larger);
    const float theirs = exp2f(other_maximum - larger);
    out = out * mine + other_out * theirs;
    sum = sum * mine + other_sum * theirs;
    maximum = larger;
  }

  /// The normalised output with the head's sink in the denominator.
  __device__ float finish(float sink) const {
    const float sink_power = sink * kLog2E;
    const float larger = fmaxf(maximum, sink_power);
    const float mine = exp2f(maximum - larger);
    return out * mine / (sum * mine + exp2f(sink_power - larger));
  }
};

}  // namespace gossamer::kernels::cuda
