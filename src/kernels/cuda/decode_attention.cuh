#pragma once

// Attention of the persistent decode step: one query, all heads of a key-value head together.
//
// Scores: mma with the queries as A (rows 0-7: the heads rounded to bf16, rows 8-15: what that left
// out) and 8 keys as B; so the sum of rows g and g + 8 is the score of head g. Probabilities are
// split in the same way and multiplied with the transposed values of the cache. A warp takes a
// block of 16 positions at a time. Bound by reading keys and values: 4 KB a block and head.

#include <cuda_bf16.h>

#include <cstdint>

#include "kernels/cuda/decode_ring.cuh"
#include "kernels/cuda/decode_step.cuh"
#include "kernels/cuda/ptx/grid_sync.cuh"
#include "kernels/cuda/ptx/mma.cuh"
#include "kernels/step.h"

namespace gossamer::kernels::cuda {

inline constexpr int kHeadDim = 64;
inline constexpr int kMaxGroup = 8;    // query heads of a key-value head
inline constexpr int kMaxSplits = 16;  // blocks of the grid that share a key-value head
inline constexpr int kAttentionWarps = kNumGroups * kWarpsPerGroup;
/// A head's unnormalised output, its running maximum (in powers of two) and the sum of its weights.
inline constexpr int kPartialFloats = kHeadDim + 2;
inline constexpr float kLog2E = 1.4426950408889634F;
inline constexpr float kScoreScale = 0.125F * kLog2E;

/// The step's token as attention needs it, in shared memory, before rotation.
struct NewToken {
  float queries[kMaxGroup]
               [kHeadDim + 1];  // of a key-value head's group; rows begin in different banks
  float key[kHeadDim];
  float value[kHeadDim];
  float scores[kMaxGroup];  // with its own key, in powers of two
  uint4 operands[4][32];    // the queries as operand A: [mma step][lane]
};

/// How a head's cached positions are cut among blocks of the grid: at least a cache block for each
/// warp. The token at `position` itself is not in the cache yet.
struct Splits {
  int begin;  // first position that is seen
  int count;
  int index;  // this block's; it takes no part when this is count or more
  int first;  // this block's cache blocks
  int last;   // below first when there are none

  __device__ Splits(int position, int window, int num_kv_heads)
      : begin(window > 0 ? max(0, position + 1 - window) : 0),
        index(static_cast<int>(blockIdx.x) / num_kv_heads) {
    const int first_block = begin / kBlockSize;
    const int end_block = begin < position ? (position - 1) / kBlockSize + 1 : first_block;
    const int most = min(kMaxSplits, static_cast<int>(gridDim.x) / num_kv_heads);
    const int blocks = end_block - first_block;
    const int each = max(kAttentionWarps, (blocks + most - 1) / most);
    count = max(1, (blocks + each - 1) / each);
    first = first_block + index * each;
    last = min(first + each, end_block) - 1;
  }
};

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

// Lane t holds of a head vector dimensions 8t..8t + 7 and 32 + 8t..32 + 8t + 7. mma step s takes
// four of them, the same ones of queries and keys: 32 (s / 2) + 8t + 4 (s % 2) + {0, 1, 2, 3}.

/// A lane's operand A of one mma step: the queries of head lane / 4, rotated, scaled for exp2,
/// rounded and what the rounding left out. rope: 32 cosines, then 32 sines. Zeros for heads past
/// the group.
__device__ inline uint4 query_operand(
    const NewToken& token, int group, const float* rope, int step, int lane
) {
  const int head = lane / 4;
  uint4 operand{};
  if (head >= group) return operand;
  const int dim = 8 * (lane % 4) + 4 * (step % 2);  // of the pair's first half
  const float* query = token.queries[head] + dim;
  float values[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = rotate_pair(query[i], query[32 + i], rope[dim + i], rope[32 + dim + i]);
    values[i] = (step < 2 ? pair.x : pair.y) * kScoreScale;
  }
  split_pair(values[0], values[1], operand.x, operand.y);
  split_pair(values[2], values[3], operand.z, operand.w);
  return operand;
}

/// Keys of a tile of 8 columns: column n is key 4 (n / 2) + n % 2 + 2 * tile of the block, so that
/// lane t has keys 4t..4t + 3 in its two tiles.
__device__ inline int key_of_column(int column, int tile) {
  return 4 * (column / 2) + column % 2 + 2 * tile;
}

/// A cell's keys and values as operands B of a warp: loaded early, used late.
struct CachedBlock {
  uint4 keys[2][2];  // [tile][dimensions 8t.., 32 + 8t..] of key_of_column(g, tile)
  uint2 values[8];   // [j]: dimension 8j + g of keys 4t..4t + 3

  __device__ void load(const DecodeLayer& layer, std::int64_t cell, int lane) {
    const __nv_bfloat16* key_cell = layer.keys + cell;
    const __nv_bfloat16* value_cell = layer.values + cell;
    const int g = lane / 4;
    const int t = lane % 4;
#pragma unroll
    for (int tile = 0; tile < 2; ++tile) {
      const __nv_bfloat16* key = key_cell + key_of_column(g, tile) * kHeadDim + 8 * t;
      keys[tile][0] = __ldcg(reinterpret_cast<const uint4*>(key));
      keys[tile][1] = __ldcg(reinterpret_cast<const uint4*>(key + 32));
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      values[j] =
          __ldcg(reinterpret_cast<const uint2*>(value_cell + (8 * j + g) * kBlockSize + 4 * t));
    }
  }
};

/// A warp's running softmax over its keys, for head g = lane / 4.
struct SoftmaxState {
  float out[8][4] = {};  // [dims 8j..][as mma's c: (g, 2t), (g, 2t + 1), and the rest's share]
  float maximum = -INFINITY;
  float sum = 0;  // of this lane's keys
};

/// Scores of this lane's head g with keys 4t..4t + 3 of a block, in powers of two.
__device__ inline void score_block(
    const NewToken& token, const CachedBlock& cached, int lane, float (&scores)[4]
) {
  float c[2][4] = {};
#pragma unroll
  for (int step = 0; step < 4; ++step) {
    const uint4 a = token.operands[step][lane];
#pragma unroll
    for (int tile = 0; tile < 2; ++tile) {
      const uint4 keys = cached.keys[tile][step / 2];
      const bool second = step % 2 != 0;
      ptx::mma_bf16(
          c[tile], a.x, a.y, a.z, a.w, second ? keys.z : keys.x, second ? keys.w : keys.y
      );
    }
  }
#pragma unroll
  for (int tile = 0; tile < 2; ++tile) {
    scores[2 * tile] = c[tile][0] + c[tile][2];
    scores[2 * tile + 1] = c[tile][1] + c[tile][3];
  }
}

/// Takes a block of 16 positions into the softmax. position: of the block's first key; only keys in
/// [begin, end) count, at least one of them in the block.
__device__ inline void attend_block(
    const NewToken& token,
    const CachedBlock& cached,
    int position,
    int begin,
    int end,
    int lane,
    SoftmaxState& state
) {
  const int t = lane % 4;
  float scores[4];
  score_block(token, cached, lane, scores);
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
    uint2 v = cached.values[j];
    const int key = position + 4 * t;
    if (key + 1 >= end) v.x = key >= end ? 0 : v.x & 0xFFFFU;
    if (key + 3 >= end) v.y = key + 2 >= end ? 0 : v.y & 0xFFFFU;
    ptx::mma_bf16(state.out[j], rounded[0], rest[0], rounded[1], rest[1], v.x, v.y);
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

/// Two elements of partial results put together: the outputs, their maximum and sum.
struct Merged {
  float2 out = {0, 0};
  float maximum = -INFINITY;
  float sum = 0;

  __device__ void add(float2 other_out, float other_maximum, float other_sum) {
    const float larger = fmaxf(maximum, other_maximum);
    const float mine = exp2f(maximum - larger);
    const float theirs = exp2f(other_maximum - larger);
    out.x = out.x * mine + other_out.x * theirs;
    out.y = out.y * mine + other_out.y * theirs;
    sum = sum * mine + other_sum * theirs;
    maximum = larger;
  }

  /// Relative to another maximum, near this one.
  __device__ void rebase(float other_maximum) {
    const float factor = exp2f(maximum - other_maximum);
    out.x *= factor;
    out.y *= factor;
    sum *= factor;
    maximum = other_maximum;
  }

  /// The normalised outputs with the head's sink in the denominator.
  __device__ float2 finish(float sink) const {
    const float sink_power = sink * kLog2E;
    const float larger = fmaxf(maximum, sink_power);
    const float mine = exp2f(maximum - larger);
    const float factor = mine / (sum * mine + exp2f(sink_power - larger));
    return {out.x * factor, out.y * factor};
  }
};

/// Elements `dim` (even) and dim + 1 of a head over the partial results of `warps` warps, the first
/// of them at `partial`.
__device__ inline Merged merge_warps(const float* partial, int dim, int warps) {
  constexpr int kStride = kMaxGroup * kPartialFloats;
  Merged merged;
#pragma unroll 4
  for (int i = 0; i < warps; ++i) {
    merged.maximum = fmaxf(merged.maximum, partial[i * kStride + kHeadDim]);
  }
#pragma unroll 4
  for (int i = 0; i < warps; ++i) {
    const float weight = exp2f(partial[i * kStride + kHeadDim] - merged.maximum);
    const float2 out = *reinterpret_cast<const float2*>(partial + i * kStride + dim);
    merged.out.x = fmaf(out.x, weight, merged.out.x);
    merged.out.y = fmaf(out.y, weight, merged.out.y);
    merged.sum = fmaf(partial[i * kStride + kHeadDim + 1], weight, merged.sum);
  }
  return merged;
}

}  // namespace gossamer::kernels::cuda
