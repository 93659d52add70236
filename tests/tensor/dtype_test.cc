#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace gossamer::tensor {
namespace {

std::uint16_t rounded(float value) {
  return BFloat16::from_float(value).bits;
}

TEST(BFloat16Test, EveryValueSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const BFloat16 value{static_cast<std::uint16_t>(bits)};
    if (std::isnan(value.to_float())) continue;
    EXPECT_EQ(BFloat16::from_float(value.to_float()).bits, value.bits);
  }
}

TEST(BFloat16Test, RoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(rounded(1.0F + 0x1p-8F), 0x3F80);            // a tie: down to even
  EXPECT_EQ(rounded(1.0F + 0x1p-7F + 0x1p-8F), 0x3F82);  // a tie: up to even
  EXPECT_EQ(rounded(1.0F + 0x1p-8F + 0x1p-20F), 0x3F81);
  EXPECT_EQ(rounded(-1.0F - 0x1p-8F), 0xBF80);
}

TEST(BFloat16Test, OverflowsToInfinityAndKeepsNan) {
  EXPECT_EQ(rounded(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_EQ(rounded(std::numeric_limits<float>::infinity()), 0x7F80);
  EXPECT_TRUE(std::isnan(BFloat16::from_float(std::numeric_limits<float>::quiet_NaN()).to_float()));
  // A NaN whose payload lies in the lower half only.
  EXPECT_TRUE(std::isnan(BFloat16::from_float(std::bit_cast<float>(0x7F800001U)).to_float()));
}

TEST(DTypeTest, SizesAndNamesAreThoseOfSafetensors) {
  EXPECT_EQ(size_of(DType::kBF16), 2U);
  EXPECT_EQ(name_of(DType::kBF16), "BF16");
  EXPECT_EQ(size_of(DType::kF16), 2U);
  EXPECT_EQ(name_of(DType::kF16), "F16");
  EXPECT_EQ(size_of(DType::kU8), 1U);
  EXPECT_EQ(name_of(DType::kU8), "U8");
  EXPECT_EQ(size_of(DType::kF32), 4U);
  EXPECT_EQ(size_of(DType::kF64), 8U);
}

}  // namespace
}  // namespace gossamer::tensor
