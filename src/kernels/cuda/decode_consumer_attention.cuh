#pragma once

// Attention as the consumers of the persistent decode step share it out.

#include "kernels/cuda/decode_consumer.cuh"

namespace gossamer::kernels::cuda {

/// Brings the token's queries of a key-value head, its key and its value into shared memory.
__device__ inline void Consumer::load_new_token(int head, Word tag) const {
  const int group = shape_.num_heads / shape_.num_kv_heads;
  NewToken& token = block_.small.token;
  const Word* from = block_.small.scratch.qkv;
  const int vector = thread_ / 32;  // the queries, the key, the value
  const int dim = 2 * lane_.lane;
  float* to = token.value;
  int row = shape_.num_heads + shape_.num_kv_heads + head;
  if (vector < group) {
    to = token.queries[vector];
    row = head * group + vector;
  } else if (vector == group) {
    to = token.key;
    row = shape_.num_heads + head;
  }
  if (vector < group + 2) {
    float2 pairs[1];
    wait_pairs(from + row * kHeadDim, lane_.lane, 32, 32, tag, pairs);
    to[dim] = pairs[0].x;
    to[dim + 1] = pairs[0].y;
  }
  sync();
}

/// The score of a head of the group with the token's own key, by one warp.
__device__ inline void Consumer::score_new_token(int group, int member) const {
  if (member >= group) return;
  NewToken& token = block_.small.token;
  const float cosine = block_.small.rope[lane_.lane];
  const float sine = block_.small.rope[32 + lane_.lane];
  const float* query = token.queries[member];
  const float2 q = rotate_pair(query[lane_.lane], query[32 + lane_.lane], cosine, sine);
  const float2 k = rotate_pair(token.key[lane_.lane], token.key[32 + lane_.lane], cosine, sine);
  float score = q.x * k.x + q.y * k.y;
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    score += __shfl_xor_sync(0xFFFFFFFFU, score, distance);
  }
  if (lane_.lane == 0) token.scores[member] = score * kScoreScale;
}

/// Writes the token's key, rotated, and its value into their cell of the cache.
__device__ inline void Consumer::store_key_value(const DecodeLayer& layer) const {
  const NewToken& token = block_.small.token;
  if (thread_ >= kHeadDim) return;
  const int offset = position_ % kBlockSize;
  const std::int64_t cell = cell_of(layer, position_ / kBlockSize);
  layer.values[cell + thread_ * kBlockSize + offset] = __float2bfloat16(token.value[thread_]);
  if (thread_ >= kHeadDim / 2) return;
  const float2 pair = rotate_pair(
      token.key[thread_],
      token.key[32 + thread_],
      block_.small.rope[thread_],
      block_.small.rope[32 + thread_]
  );
  __nv_bfloat16* key = layer.keys + cell + offset * kHeadDim;
  key[thread_] = __float2bfloat16(pair.x);
  key[32 + thread_] = __float2bfloat16(pair.y);
}

/// A part of a key-value head's attention: this block's cache blocks, a warp one at a time, and in
/// the last part the token's own key; then all warps' results together, and all parts' in the first
/// part's block.
__device__ inline void Consumer::attend(int index, const DecodeLayer& layer) {
  const Splits splits(position_, static_cast<int>(layer.sliding_window), shape_.num_kv_heads);
  if (splits.index >= splits.count) return;
  const int head = static_cast<int>(blockIdx.x) % shape_.num_kv_heads;
  const int group = shape_.num_heads / shape_.num_kv_heads;
  const int warp = thread_ / 32;
  int block = splits.first + warp;
  // The cache is there before the queries are.
  CachedBlock cached;
  if (block <= splits.last) cached.load(layer, cell_of(layer, block), lane_.lane);
  load_new_token(head, tag_of(index));
  if (warp < 4) {
    block_.small.token.operands[warp][lane_.lane] =
        query_operand(block_.small.token, group, block_.small.rope, warp, lane_.lane);
  } else if (splits.index == splits.count - 1) {
    score_new_token(group, warp - 4);
  }
  sync();
  if (block <= splits.last) {
    SoftmaxState state;
    for (;;) {
      attend_block(
          block_.small.token, cached, block * kBlockSize, splits.begin, position_, lane_.lane, state
      );
      block += kAttentionWarps;
      if (block > splits.last) break;
      cached.load(layer, cell_of(layer, block), lane_.lane);
    }
    store_partial(
        state,
        reinterpret_cast<float*>(block_.vectors) + warp * kMaxGroup * kPartialFloats,
        lane_.lane
    );
  }
  sync();
  if (warp < group) merge_head(layer, splits, head, warp, tag_of(index));
  if (splits.index == splits.count - 1) store_key_value(layer);
}

/// A query head's output, by a warp, a lane two elements: this block's warps' results together, and
/// in the first split's block those of all splits, in their order; the others leave theirs for it.
__device__ inline void Consumer::merge_head(
    const DecodeLayer& layer, const Splits& splits, int head, int member, Word tag
) const {
  const NewToken& token = block_.small.token;
  const int dim = 2 * lane_.lane;
  Merged merged = merge_warps(
      reinterpret_cast<const float*>(block_.vectors) + member * kPartialFloats,
      dim,
      min(kAttentionWarps, splits.last - splits.first + 1)
  );
  if (splits.index == splits.count - 1) {
    merged.add({token.value[dim], token.value[dim + 1]}, token.scores[member], 1.0F);
  }
  Word* partials =
      block_.small.scratch.partials + (head * kMaxSplits * kMaxGroup + member) * kPartialFloats;
  if (splits.index > 0) {
    merged.rebase(value_of(__float_as_uint(merged.maximum)));  // as its word will say
    Word* own = partials + splits.index * kMaxGroup * kPartialFloats;
    store_words(own + dim, merged.out, tag);
    if (lane_.lane == 0) store_words(own + kHeadDim, {merged.maximum, merged.sum}, tag);
    return;
  }
  add_splits(partials, splits.count, tag, merged);
  const int query_head = head * (shape_.num_heads / shape_.num_kv_heads) + member;
  store_words(
      block_.small.scratch.attention + query_head * kHeadDim + dim,
      merged.finish(__bfloat162float(layer.sinks[query_head])),
      tag
  );
}

/// Adds what the other splits of a query head have left, from its place among the first split's
/// partial results on.
__device__ inline void Consumer::add_splits(
    const Word* partials, int count, Word tag, Merged& merged
) const {
  constexpr int kAtOnce = 4;
  constexpr int kStride = kMaxGroup * kPartialFloats / 2;  // pairs
#pragma unroll 1
  for (int first = 1; first < count; first += kAtOnce) {
    float2 out[kAtOnce];
    float2 weights[kAtOnce];  // maximum, sum
    const int begin = first * kStride;
    wait_pairs(partials, begin + lane_.lane, kStride, count * kStride, tag, out);
    wait_pairs(partials, begin + kHeadDim / 2, kStride, count * kStride, tag, weights);
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i < count) merged.add(out[i], weights[i].x, weights[i].y);
    }
  }
}

}  // namespace gossamer::kernels::cuda
