#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

// Elementwise kernels compute in float, four columns a thread where rows allow it. Rows of a
// multiple of four columns start at a multiple of 16 bytes (float) or 8 (bf16).

inline constexpr int kVectorWidth = 4;

/// The columns that a thread takes at a time: kVectorWidth, or 1 where rows are not a multiple.
constexpr int vector_width(std::int64_t columns) {
  return columns % kVectorWidth == 0 ? kVectorWidth : 1;
}

template <int kWidth>
__device__ void load_floats(const float* from, float (&to)[kWidth]) {
  if constexpr (kWidth == kVectorWidth) {
    const float4 values = *reinterpret_cast<const float4*>(from);
    to[0] = values.x;
    to[1] = values.y;
    to[2] = values.z;
    to[3] = values.w;
  } else {
    static_assert(kWidth == 1);
    to[0] = *from;
  }
}

template <int kWidth>
__device__ void load_floats(const __nv_bfloat16* from, float (&to)[kWidth]) {
  if constexpr (kWidth == kVectorWidth) {
    const uint2 words = *reinterpret_cast<const uint2*>(from);
    to[0] = __uint_as_float(words.x << 16U);
    to[1] = __uint_as_float(words.x & 0xFFFF0000U);
    to[2] = __uint_as_float(words.y << 16U);
    to[3] = __uint_as_float(words.y & 0xFFFF0000U);
  } else {
    static_assert(kWidth == 1);
    to[0] = __bfloat162float(*from);
  }
}

template <int kWidth>
__device__ void store_floats(const float (&from)[kWidth], float* to) {
  if constexpr (kWidth == kVectorWidth) {
    *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
  } else {
    static_assert(kWidth == 1);
    *to = from[0];
  }
}

template <int kWidth>
__device__ void store_floats(const float (&from)[kWidth], __nv_bfloat16* to) {
  if constexpr (kWidth == kVectorWidth) {
    reinterpret_cast<__nv_bfloat162*>(to)[0] = __floats2bfloat162_rn(from[0], from[1]);
    reinterpret_cast<__nv_bfloat162*>(to)[1] = __floats2bfloat162_rn(from[2], from[3]);
  } else {
    static_assert(kWidth == 1);
    *to = __float2bfloat16_rn(from[0]);
  }
}

}  // namespace gossamer::kernels::cuda
