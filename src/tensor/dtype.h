#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gossamer::tensor {

/// Element types of weights and activations.
enum class DType : std::uint8_t { kF64, kF32, kI32, kBF16, kF16, kU8 };

constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBF16:
    case DType::kF16:
      return 2;
    case DType::kU8:
      return 1;
  }
  return 0;
}

/// The safetensors name: "F64", "F32", "I32", "BF16", "F16", "U8".
constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return "F64";
    case DType::kF32:
      return "F32";
    case DType::kI32:
      return "I32";
    case DType::kBF16:
      return "BF16";
    case DType::kF16:
      return "F16";
    case DType::kU8:
      return "U8";
  }
  return "?";
}

/// A brain float: the upper half of an IEEE single.
struct BFloat16 {
  std::uint16_t bits;

  float to_float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

  /// Rounds to nearest, ties to even; NaN stays NaN.
  static BFloat16 from_float(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    if ((word & 0x7FFFFFFFU) > 0x7F800000U) {
      return {static_cast<std::uint16_t>((word >> 16) | 0x40U)};
    }
    return {static_cast<std::uint16_t>((word + 0x7FFFU + ((word >> 16) & 1U)) >> 16)};
  }
};
static_assert(sizeof(BFloat16) == 2);

/// An IEEE half. Vector instructions convert it.
struct Float16 {
  std::uint16_t bits;

  static constexpr float kLargest = 65504;
};
static_assert(sizeof(Float16) == 2);

/// The DType of a C++ element type.
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<double> {
  static constexpr DType kValue = DType::kF64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType kValue = DType::kF32;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType kValue = DType::kI32;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType kValue = DType::kBF16;
};
template <>
struct DTypeOf<Float16> {
  static constexpr DType kValue = DType::kF16;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType kValue = DType::kU8;
};

}  // namespace gossamer::tensor
