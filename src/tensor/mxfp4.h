#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/view.h"

namespace gossamer::tensor {

/// MXFP4 (OCP Microscaling, E2M1 values with an E8M0 scale a block): 32 consecutive values along
/// the input dimension share one scale byte. Byte k of a block's 16 holds value 2k in its low
/// nibble and value 2k+1 in its high nibble.
inline constexpr int kMxfp4BlockValues = 32;
inline constexpr int kMxfp4BlockBytes = 16;

/// The value of each 4-bit code.
inline constexpr std::array<float, 16> kMxfp4Values = {
    0.0F,
    0.5F,
    1.0F,
    1.5F,
    2.0F,
    3.0F,
    4.0F,
    6.0F,
    -0.0F,
    -0.5F,
    -1.0F,
    -1.5F,
    -2.0F,
    -3.0F,
    -4.0F,
    -6.0F,
};

/// The factor that a scale byte stands for, 2^(byte - 127). 255 (NaN in the format) is refused when
/// a checkpoint is loaded, so it never gets here.
inline double mxfp4_scale(std::uint8_t byte) {
  return std::ldexp(1.0, static_cast<int>(byte) - 127);
}

/// A stack of matrices in MXFP4, packed as released.
struct Mxfp4View {
  View blocks;  // U8 [num_experts, rows, columns / 32, 16]
  View scales;  // U8 [num_experts, rows, columns / 32]

  std::int64_t num_matrices() const { return scales.shape()[0]; }
  std::int64_t rows() const { return scales.shape()[1]; }
  std::int64_t columns() const { return scales.shape()[2] * kMxfp4BlockValues; }
};

/// Decodes one block into 32 values, in order.
inline void decode_mxfp4_block(
    std::span<const std::uint8_t, kMxfp4BlockBytes> block,
    std::uint8_t scale,
    std::span<double, kMxfp4BlockValues> values
) {
  const double factor = mxfp4_scale(scale);
  for (std::size_t k = 0; k < kMxfp4BlockBytes; ++k) {
    values[2 * k] = kMxfp4Values[block[k] & 0xFU] * factor;
    values[2 * k + 1] = kMxfp4Values[block[k] >> 4U] * factor;
  }
}

/// Encodes 32 values: the scale is the power of two that brings the largest magnitude to at most 6
/// (rounded), each value goes to the nearest code, ties to the even one.
void encode_mxfp4_block(
    std::span<const float, kMxfp4BlockValues> values,
    std::span<std::uint8_t, kMxfp4BlockBytes> block,
    std::uint8_t& scale
);

}  // namespace gossamer::tensor
