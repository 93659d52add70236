#pragma once

// Attention as the consumers of the persistent decode step share it out.

#include "kernels/cuda/decode_consumer.cuh"

namespace gossamer::kernels::cuda {

/// Brings the token's queries of a key-value head, its key and its value into shared memory.
__device__ inline void Consumer::load_new_token(int head, Word tag) const {
  const int group = shape_.num_heads / shape_.num_kv_heads;
  NewToken& token = block_.small.token;
  const Word* qkv = block_.small.scratch.qkv;
  const Word* key = qkv + (shape_.num_heads + head) * kHeadDim;
  const Word* value = key + shape_.num_kv_heads * kHeadDim;
  for (int i = thread_; i < group * kHeadDim; i += kConsumers) {
    token.queries[i / kHeadDim][i % kHeadDim] = wait_word(qkv + head * group * kHeadDim + i, tag);
  }
  if (thread_ < kHeadDim) token.key[thread_] = wait_word(key + thread_, tag);
  if (thread_ >= kConsumers - kHeadDim) {
    const int dim = thread_ - (kConsumers - kHeadDim);
    token.value[dim] = wait_word(value + dim, tag);
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
  wait_count(index, kQkv, (block_.qkv_rows() + kPackedRows - 1) / kPackedRows);
  load_new_token(head, tag_of(index));
  if (warp < 4) {
    block_.small.token.operands[warp][lane_.lane] =
        query_operand(block_.small.token, group, block_.small.rope, warp, lane_.lane);
  } else if (splits.index == splits.count - 1) {
    score_new_token(group, warp - 4);
  }
  sync();
  SoftmaxState state;
  if (block <= splits.last) {
    CachedBlock cached;
    std::int64_t cell = cell_of(layer, block);
    cached.load(layer.keys + cell, layer.values + cell, lane_.lane);
    for (;;) {
      attend_block(
          block_.small.token, cached, block * kBlockSize, splits.begin, position_, lane_.lane, state
      );
      block += kAttentionWarps;
      if (block > splits.last) break;
      cell = cell_of(layer, block);
      cached.load(layer.keys + cell, layer.values + cell, lane_.lane);
    }
    store_partial(
        state,
        reinterpret_cast<float*>(block_.vectors) + warp * kMaxGroup * kPartialFloats,
        lane_.lane
    );
  }
  sync();
#pragma unroll 1
  for (int i = thread_; i < group * kHeadDim; i += kConsumers) {
    merge_element(layer, splits, head, i / kHeadDim, i % kHeadDim, tag_of(index));
  }
  if (splits.index == 0 && lane_.lane == 0) count(index, kAttention);
  if (splits.index == splits.count - 1) store_key_value(layer);
}

/// An element of a query head's output: this block's warps' results together, and in the first
/// split's block those of all splits, in their order; the others leave theirs for it.
__device__ inline void Consumer::merge_element(
    const DecodeLayer& layer, const Splits& splits, int head, int member, int dim, Word tag
) const {
  const NewToken& token = block_.small.token;
  Merged merged = merge_warps(
      reinterpret_cast<const float*>(block_.vectors) + member * kPartialFloats,
      dim,
      min(kAttentionWarps, splits.last - splits.first + 1)
  );
  if (splits.index == splits.count - 1) merged.add(token.value[dim], token.scores[member], 1.0F);
  Word* partials =
      block_.small.scratch.partials + (head * kMaxSplits * kMaxGroup + member) * kPartialFloats;
  if (splits.index > 0) {
    Word* own = partials + splits.index * kMaxGroup * kPartialFloats;
    store_word(own + dim, merged.out, tag);
    if (dim == 0) store_word(own + kHeadDim, merged.maximum, tag);
    if (dim == 1) store_word(own + kHeadDim + 1, merged.sum, tag);
    return;
  }
#pragma unroll 1
  for (int split = 1; split < splits.count; ++split) {
    const Word* other = partials + split * kMaxGroup * kPartialFloats;
    const float out = wait_word(other + dim, tag);
    const float maximum = wait_word(other + kHeadDim, tag);
    const float sum = wait_word(other + kHeadDim + 1, tag);
    merged.add(out, maximum, sum);
  }
  const int query_head = head * (shape_.num_heads / shape_.num_kv_heads) + member;
  const float sink = __bfloat162float(layer.sinks[query_head]);
  store_word(
      block_.small.scratch.attention + query_head * kHeadDim + dim, merged.finish(sink), tag
  );
}

}  // namespace gossamer::kernels::cuda
