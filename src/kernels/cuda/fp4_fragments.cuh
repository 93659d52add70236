#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

// MXFP4 codes of packed_weights.h into registers of operand A. A code's pattern is its value times
// 2^-126, so the multiplication that applies the scale 2^(b - 127) is one by 2^(b - 1). That is a
// bf16 up to b = 128; larger scales take two multiplications. All of it is exact.

/// The four bf16 pairs of a word, each value times 2^-126.
__device__ __forceinline__ void unpack_fp4(std::uint32_t word, std::uint32_t (&pairs)[4]) {
  constexpr std::uint32_t kPattern = 0x81C081C0;
  pairs[0] = word & kPattern;
  pairs[1] = (word << 6) & kPattern;
  pairs[2] = __funnelshift_l(word, word, 12) & kPattern;
  pairs[3] = ((word << 2) & 0x80C080C0) | ((word >> 6) & 0x01000100);
}

/// Or the scale is applied to the sums of a block: the vector is made 2^100 larger, so that no
/// product is subnormal, and the sum 2^26 larger at the end.
inline constexpr float kFp4VectorScale = 0x1p100F;
inline constexpr float kFp4SumScale = 0x1p26F;
inline constexpr std::uint32_t kFp4VectorScalePair = 0x71807180;  // bf16

/// Whether any of the scale bytes packed in `bytes` may be above 128.
__device__ __forceinline__ bool has_large_scale(std::uint32_t bytes) {
  return (bytes & 0x80808080) != 0;
}

/// 2^(byte - 1) twice, as bf16; byte is at most 128.
__device__ __forceinline__ std::uint32_t small_scale(std::uint32_t byte) {
  return byte * 0x00800080 + 126 * 0x00800080;
}

__device__ __forceinline__ std::uint32_t multiply_pair(std::uint32_t pair, std::uint32_t scale) {
  const __nv_bfloat162 product = __hmul2(
      *reinterpret_cast<const __nv_bfloat162*>(&pair),
      *reinterpret_cast<const __nv_bfloat162*>(&scale)
  );
  return *reinterpret_cast<const std::uint32_t*>(&product);
}

/// The four bf16 pairs of a word of codes whose scale is `byte`. Without kLargeScales, it must be
/// at most 128.
template <bool kLargeScales>
__device__ __forceinline__ void dequantize_fp4(
    std::uint32_t word, std::uint32_t byte, std::uint32_t (&pairs)[4]
) {
  unpack_fp4(word, pairs);
  const std::uint32_t scale = small_scale(kLargeScales ? min(byte, 128U) : byte);
#pragma unroll
  for (std::uint32_t& pair : pairs) pair = multiply_pair(pair, scale);
  if constexpr (kLargeScales) {
    const std::uint32_t rest = small_scale(max(byte, 128U) - 127);  // 2^(byte - 128) at least 1
#pragma unroll
    for (std::uint32_t& pair : pairs) pair = multiply_pair(pair, rest);
  }
}

}  // namespace gossamer::kernels::cuda
