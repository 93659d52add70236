#include "tensor/mxfp4.h"

#include <algorithm>

namespace gossamer::tensor {
namespace {

/// Nearest magnitude code 0..7; ties go to the even code.
std::uint8_t nearest_code(float magnitude) {
  // Midpoints between neighbouring magnitudes 0, 0.5, 1, 1.5, 2, 3, 4, 6.
  constexpr std::array<float, 7> kMidpoints = {0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5.0F};
  std::uint8_t code = 0;
  for (const float midpoint : kMidpoints) {
    const bool above = magnitude > midpoint || (magnitude == midpoint && code % 2 == 1);
    if (!above) break;
    ++code;
  }
  return code;
}

}  // namespace

void encode_mxfp4_block(
    std::span<const float, kMxfp4BlockValues> values,
    std::span<std::uint8_t, kMxfp4BlockBytes> block,
    std::uint8_t& scale
) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  // floor(log2(largest)) - 2: the largest lands in [4, 8), where 6 is the top code.
  const int exponent = largest > 0 ? std::ilogb(largest) - 2 : -127;
  scale = static_cast<std::uint8_t>(std::clamp(exponent + 127, 0, 254));
  const auto inverse = static_cast<float>(std::ldexp(1.0, 127 - static_cast<int>(scale)));
  const auto encode = [&](float value) {
    const auto sign = static_cast<std::uint8_t>(std::signbit(value) ? 8 : 0);
    return static_cast<std::uint8_t>(sign | nearest_code(std::abs(value) * inverse));
  };
  for (std::size_t k = 0; k < kMxfp4BlockBytes; ++k) {
    block[k] = static_cast<std::uint8_t>(encode(values[2 * k]) | (encode(values[2 * k + 1]) << 4U));
  }
}

}  // namespace gossamer::tensor
