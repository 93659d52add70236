#include "tensor/mxfp4.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace gossamer::tensor {
namespace {

struct Block {
  std::array<std::uint8_t, kMxfp4BlockBytes> bytes{};
  std::uint8_t scale = 127;
};

Block encode(const std::array<float, kMxfp4BlockValues>& values) {
  Block block;
  encode_mxfp4_block(values, block.bytes, block.scale);
  return block;
}

std::array<double, kMxfp4BlockValues> decode(const Block& block) {
  std::array<double, kMxfp4BlockValues> values{};
  decode_mxfp4_block(block.bytes, block.scale, values);
  return values;
}

TEST(Mxfp4Test, TheLowNibbleHoldsTheEvenValue) {
  Block block;
  block.bytes[0] = 0xE1;  // value 0: code 1 = 0.5; value 1: code 14 = -4
  block.scale = 128;
  const auto values = decode(block);
  EXPECT_EQ(values[0], 1.0);
  EXPECT_EQ(values[1], -8.0);
  EXPECT_EQ(values[2], 0.0);
}

TEST(Mxfp4Test, ScalesArePowersOfTwoOverTheWholeRange) {
  EXPECT_EQ(mxfp4_scale(127), 1.0);
  EXPECT_EQ(mxfp4_scale(0), std::ldexp(1.0, -127));
  EXPECT_EQ(mxfp4_scale(254), std::ldexp(1.0, 127));
}

TEST(Mxfp4Test, EveryCodeSurvivesEncoding) {
  std::array<float, kMxfp4BlockValues> values{};
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = kMxfp4Values[i % 16];
  const auto decoded = decode(encode(values));
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(decoded[i], values[i]) << i;
}

TEST(Mxfp4Test, TiesGoToTheEvenCode) {
  std::array<float, kMxfp4BlockValues> values{};
  values[0] = 6.0F;  // holds the scale at 1
  values[1] = 0.25F;
  values[2] = 0.75F;
  values[3] = 2.5F;
  values[4] = -5.0F;
  const auto decoded = decode(encode(values));
  EXPECT_EQ(decoded[1], 0.0);
  EXPECT_EQ(decoded[2], 1.0);
  EXPECT_EQ(decoded[3], 2.0);
  EXPECT_EQ(decoded[4], -4.0);
}

TEST(Mxfp4Test, ABlockOfZerosDecodesToZeros) {
  for (const double value : decode(encode({}))) EXPECT_EQ(value, 0.0);
}

TEST(Mxfp4Test, EncodingIsOffByAtMostAQuarterOfTheLargestMagnitude) {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same values every time
  std::normal_distribution<float> normal;
  for (int round = 0; round < 1000; ++round) {
    std::array<float, kMxfp4BlockValues> values{};
    const float size = std::ldexp(1.0F, round % 200 - 100);
    for (float& value : values) value = normal(random) * size;
    const auto decoded = decode(encode(values));
    float largest = 0;
    for (const float value : values) largest = std::max(largest, std::abs(value));
    for (std::size_t i = 0; i < values.size(); ++i) {
      // A magnitude in [4, 8) times the scale becomes 4 or 6: the worst is 8, off by 2.
      EXPECT_LE(std::abs(decoded[i] - values[i]), largest / 4) << values[i] << " of " << largest;
    }
  }
}

}  // namespace
}  // namespace gossamer::tensor
