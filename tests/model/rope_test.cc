#include "model/rope.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace gossamer::model {
namespace {

TEST(RopeTest, TheReleasedModelsHaveTheKnownFrequencies) {
  const RopeFrequencies rope = rope_frequencies(Config{});
  ASSERT_EQ(rope.inverse_frequencies.size(), 32U);
  // openai/gpt-oss, torch/model.py, evaluated in double precision.
  const std::array<std::pair<std::size_t, double>, 8> known = {{
      {0, 1.0},
      {1, 0.689044306},
      {8, 0.0508132748},
      {9, 0.0317056962},
      {12, 0.00679495949},
      {17, 0.000129318701},
      {18, 3.83088124e-05},
      {31, 3.02351143e-07},
  }};
  for (const auto& [index, value] : known) {
    EXPECT_NEAR(rope.inverse_frequencies[index], value, value * 1e-8) << index;
  }
  EXPECT_NEAR(rope.concentration, 1.3465735902799727, 1e-15);
}

TEST(RopeTest, AFactorOfOneIsPlainRope) {
  Config config;
  config.rope_scaling_factor = 1;
  const RopeFrequencies rope = rope_frequencies(config);
  EXPECT_EQ(rope.concentration, 1.0);
  for (std::size_t i = 0; i < 32; ++i) {
    EXPECT_DOUBLE_EQ(
        rope.inverse_frequencies[i], std::pow(150000.0, -2.0 * static_cast<double>(i) / 64)
    );
  }
}

TEST(RopeTest, TruncatingMovesTheRampToWholeDimensions) {
  Config config;
  config.rope_truncate = true;
  const RopeFrequencies rope = rope_frequencies(config);
  // The ramp runs from 8 to 18: pair 8 is kept whole, pair 18 divided whole.
  EXPECT_DOUBLE_EQ(rope.inverse_frequencies[8], std::pow(150000.0, -16.0 / 64));
  EXPECT_DOUBLE_EQ(rope.inverse_frequencies[18], std::pow(150000.0, -36.0 / 64) / 32);
}

TEST(RopeTest, OddShapesStayFinite) {
  for (const int head_dim : {2, 32, 128}) {
    for (const double theta : {2.0, 1e4, 1e7}) {
      Config config;
      config.head_dim = head_dim;
      config.rope_theta = theta;
      for (const double frequency : rope_frequencies(config).inverse_frequencies) {
        EXPECT_TRUE(std::isfinite(frequency) && frequency > 0) << head_dim << ", " << theta;
      }
    }
  }
}

}  // namespace
}  // namespace gossamer::model
