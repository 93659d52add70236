#pragma once

// Global memory of the persistent decode step: what its blocks tell each other.

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/decode_attention.cuh"
#include "kernels/cuda/decode_step.cuh"
#include "kernels/cuda/decode_words.cuh"
#include "kernels/cuda/packed_weights.h"

namespace gossamer::kernels::cuda {

/// A float as an integer multiple of a power of two, so that sums do not depend on their order.
using FixedPoint = unsigned long long;

/// What a layer's blocks sum up: num_experts router products, then the squares of the residual
/// stream after attention.
constexpr int layer_sums(int num_experts) {
  return num_experts + 1;
}

/// The vectors of a layer whose writers count what they have written.
enum Handoff { kX, kHidden, kNumHandoffs = kHidden + kDecodeExperts };

struct DecodeScratch {
  Word* qkv;           // [(num_heads + 2 * num_kv_heads) * 64], before rotation
  Word* attention;     // [num_heads * 64]
  Word* hidden;        // [kDecodeExperts, intermediate]
  Word* x;             // [hidden], the residual stream where a layer ends
  Word* partials;      // [num_kv_heads, kMaxSplits, kMaxGroup, kPartialFloats]
  float* x_middle;     // [2, hidden], the residual stream after attention, by layers in turn
  FixedPoint* sums;    // [num_layers, layer_sums]
  unsigned* arrivals;  // [1] at the grid's barrier
  unsigned* counts;    // [num_layers, kNumHandoffs]
  std::size_t bytes;   // of it all, cleared before a step

  __host__ __device__ DecodeScratch(std::byte* base, const DecodeShape& shape) {
    std::size_t offset = 0;
    const auto take = [&](std::size_t count, std::size_t size) {
      std::byte* const place = base + offset;
      offset = (offset + count * size + 255) / 256 * 256;
      return place;
    };
    const int qkv_rows = (shape.num_heads + 2 * shape.num_kv_heads) * kHeadDim;
    qkv = reinterpret_cast<Word*>(take(qkv_rows, sizeof(Word)));
    attention = reinterpret_cast<Word*>(take(shape.num_heads * kHeadDim, sizeof(Word)));
    hidden = reinterpret_cast<Word*>(take(kDecodeExperts * shape.intermediate, sizeof(Word)));
    x = reinterpret_cast<Word*>(take(shape.hidden, sizeof(Word)));
    partials = reinterpret_cast<Word*>(
        take(shape.num_kv_heads * kMaxSplits * kMaxGroup * kPartialFloats, sizeof(Word))
    );
    x_middle = reinterpret_cast<float*>(take(2 * shape.hidden, sizeof(float)));
    sums = reinterpret_cast<FixedPoint*>(
        take(shape.num_layers * layer_sums(shape.num_experts), sizeof(FixedPoint))
    );
    arrivals = reinterpret_cast<unsigned*>(take(1, sizeof(unsigned)));
    counts = reinterpret_cast<unsigned*>(take(shape.num_layers * kNumHandoffs, sizeof(unsigned)));
    bytes = offset;
  }
};

/// The grid of a layer's fixed-point sums: 2^-30 of the power of two above the root mean square of
/// the residual stream where the layer begins.
struct FixedPointGrid {
  float to_fixed;  // of sums of x
  float from_fixed;

  __device__ explicit FixedPointGrid(float rms) {
    const std::uint32_t above = (__float_as_uint(rms) >> 23) + 1;  // the power's biased exponent
    to_fixed = __uint_as_float((2 * 127 + 30 - above) << 23);
    from_fixed = __uint_as_float((above - 30) << 23);
  }

  // A single value is held to 2^53 grid points, so that no sum wraps.
  __device__ static FixedPoint fix(float value) {
    return static_cast<FixedPoint>(__float2ll_rn(fminf(fmaxf(value, -0x1p53F), 0x1p53F)));
  }
  __device__ FixedPoint of_product(float value) const { return fix(value * to_fixed); }
  __device__ float product(FixedPoint sum) const {
    return __ll2float_rn(static_cast<long long>(sum)) * from_fixed;
  }
  // Squares have the grid's square, times 2^30.
  __device__ FixedPoint of_square(float value) const {
    return fix(value * to_fixed * (to_fixed * 0x1p-30F));
  }
  __device__ float square(FixedPoint sum) const {
    return __ll2float_rn(static_cast<long long>(sum)) * from_fixed * (from_fixed * 0x1p30F);
  }
};

}  // namespace gossamer::kernels::cuda
