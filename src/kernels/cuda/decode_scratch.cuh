#pragma once

// Global memory of the persistent decode step: what its blocks tell each other.

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/decode_attention.cuh"
#include "kernels/cuda/decode_step.cuh"
#include "kernels/cuda/packed_weights.h"

namespace gossamer::kernels::cuda {

/// A float as an integer multiple of a power of two, so that sums do not depend on their order.
using FixedPoint = unsigned long long;

/// What a layer's blocks sum up: num_experts router products, then the squares of the residual stream
/// after attention and after the experts.
constexpr int layer_sums(int num_experts) {
  return num_experts + 2;
}

struct DecodeScratch {
  float* x;          // [hidden], the residual stream
  float* qkv;        // [(num_heads + 2 * num_kv_heads) * 64], before rotation
  float* attention;  // [num_heads * 64]
  float* hidden;     // [kDecodeExperts, intermediate]
  float* partials;   // [num_kv_heads, kMaxSplits, kMaxGroup, kPartialFloats]
  FixedPoint* sums;  // [num_layers, layer_sums]; cleared before a step, as all below
  unsigned* arrivals;       // [1] of the grid's barriers
  unsigned* split_arrivals; // [num_kv_heads]
  std::byte* cleared;       // where the cleared part begins
  std::size_t cleared_bytes;
  std::size_t bytes;        // of it all

  __host__ __device__ DecodeScratch(std::byte* base, const DecodeShape& shape) {
    std::size_t offset = 0;
    const auto take = [&](std::size_t count, std::size_t size) {
      std::byte* const place = base + offset;
      offset = (offset + count * size + 255) / 256 * 256;
      return place;
    };
    const int qkv_rows = (shape.num_heads + 2 * shape.num_kv_heads) * kHeadDim;
    x = reinterpret_cast<float*>(take(shape.hidden, sizeof(float)));
    qkv = reinterpret_cast<float*>(take(qkv_rows, sizeof(float)));
    attention = reinterpret_cast<float*>(take(shape.num_heads * kHeadDim, sizeof(float)));
    hidden = reinterpret_cast<float*>(take(kDecodeExperts * shape.intermediate, sizeof(float)));
    partials = reinterpret_cast<float*>(
        take(shape.num_kv_heads * kMaxSplits * kMaxGroup * kPartialFloats, sizeof(float))
    );
    const std::size_t before = offset;
    sums = reinterpret_cast<FixedPoint*>(
        take(shape.num_layers * layer_sums(shape.num_experts), sizeof(FixedPoint))
    );
    arrivals = reinterpret_cast<unsigned*>(take(1, sizeof(unsigned)));
    split_arrivals = reinterpret_cast<unsigned*>(take(shape.num_kv_heads, sizeof(unsigned)));
    cleared = base + before;
    cleared_bytes = offset - before;
    bytes = offset;
  }
};

/// The grid of a layer's fixed-point sums: 2^-30 of the power of two above the root mean square of the
/// residual stream where the layer begins.
struct FixedPointGrid {
  float to_fixed;    // of sums of x
  float from_fixed;

  __device__ explicit FixedPointGrid(float rms) {
    const int exponent = ilogbf(rms) + 1;
    to_fixed = ldexpf(1.0F, 30 - exponent);
    from_fixed = ldexpf(1.0F, exponent - 30);
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
