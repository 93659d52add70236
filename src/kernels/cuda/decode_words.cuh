#pragma once

// How the blocks of the persistent decode step hand vectors to each other: words of global memory
// that carry their own arrival. The low 7 bits of a float's 23 of mantissa are replaced by a tag,
// the layer that wrote it; who needs a word reads it until the tag is right. No fence, and one trip
// through L2. The 16 bits of mantissa that are left are what operand B keeps anyway.
//
// Reading a vector again and again takes L2's bandwidth from the weights. So where weights stream
// meanwhile, writers count their tiles, and one thread of a block waits for the count. It is a
// hint: what counts is the tag.
//
// A word is written once a layer, and read by all who need it before the grid's barrier of the next
// layer lets anyone write it again.

#include <cstdint>

#include "kernels/cuda/ptx/grid_sync.cuh"

namespace gossamer::kernels::cuda {

using Word = std::uint32_t;

inline constexpr Word kTagMask = 0x7F;

/// The tag of what layer `layer` writes; memory is cleared to tag 0 before a step.
__device__ inline Word tag_of(int layer) {
  return static_cast<Word>(layer + 1);
}

__device__ inline Word tagged(float value, Word tag) {
  return (__float_as_uint(value) & ~kTagMask) | tag;
}

__device__ inline void store_word(Word* to, float value, Word tag) {
  ptx::store_relaxed(to, tagged(value, tag));
}

/// A pair of words, `to` at an even place.
__device__ inline void store_words(Word* to, float2 values, Word tag) {
  ptx::store_relaxed_pair(to, {tagged(values.x, tag), tagged(values.y, tag)});
}

__device__ inline float value_of(Word word) {
  return __uint_as_float(word & ~kTagMask);
}

/// Elements 2 i and 2 i + 1 of a vector for i = first, first + stride, ... below num_pairs, at most
/// kCount of them. False when some have not come. All loads are in flight at once.
template <int kCount>
__device__ inline bool load_pairs(
    const Word* vector, int first, int stride, int num_pairs, Word tag, float2 (&pairs)[kCount]
) {
  uint2 words[kCount];
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const int pair = first + i * stride;
    words[i] = pair < num_pairs ? ptx::load_relaxed_pair(vector + 2 * pair) : uint2{tag, tag};
  }
  bool ready = true;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    if (((words[i].x ^ tag) & kTagMask) != 0 || ((words[i].y ^ tag) & kTagMask) != 0) ready = false;
    pairs[i] = {value_of(words[i].x), value_of(words[i].y)};
  }
  return ready;
}

/// As load_pairs, when they have come.
template <int kCount>
__device__ inline void wait_pairs(
    const Word* vector, int first, int stride, int num_pairs, Word tag, float2 (&pairs)[kCount]
) {
  while (!load_pairs(vector, first, stride, num_pairs, tag, pairs)) {
  }
}

}  // namespace gossamer::kernels::cuda
