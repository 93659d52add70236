#include "kernels/step_bytes.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/random_tensors.h"

namespace gossamer::kernels {
namespace {

TEST(StepBytesTest, OneTokenChoosesItsExpertsAndManyChooseAll) {
  EXPECT_EQ(expected_experts(32, 4, 1), 4);
  EXPECT_NEAR(expected_experts(32, 4, 2), 4 + 4 * 28.0 / 32, 1e-9);
  EXPECT_NEAR(expected_experts(32, 4, 1000), 32, 1e-9);
}

TEST(StepBytesTest, AWindowBoundsWhatASequenceReads) {
  // A chunk of 20 tokens that ends a context of 300, and a single token at the end of 40.
  const std::vector<std::int32_t> starts = {0, 20, 21};
  const std::vector<std::int32_t> contexts = {300, 40};
  EXPECT_EQ(positions_in_view({starts, contexts}, 0), 340);
  EXPECT_EQ(positions_in_view({starts, contexts}, 128), 128 + 19 + 40);
}

TEST(StepBytesTest, AStepReadsDenseWeightsChosenExpertsAndKeysInView) {
  RandomTensors random(1);
  Weights weights;
  weights.unembedding = random.bf16({100, 64}, 1);
  for (int i = 0; i < 2; ++i) {
    LayerWeights layer;
    layer.q = random.linear(128, 64);
    layer.k = random.linear(64, 64);
    layer.v = random.linear(64, 64);
    layer.attn_out = random.linear(64, 128);
    layer.router = random.linear(8, 64);
    layer.gate_up = random.experts(8, 64, 64);
    layer.down = random.experts(8, 64, 32);
    weights.layers.push_back(layer);
  }
  const double dense = 2.0 * (128 * 65 + 2 * 64 * 65 + 64 * 129 + 8 * 65);
  const double expert = 64 * 64 / 2 + 64 * 2 + 64 * 2 + 64 * 32 / 2 + 64 + 64 * 2;
  const std::vector<std::int32_t> windows = {16, 0};
  const std::vector<std::int32_t> starts = {0, 1};
  const std::vector<std::int32_t> contexts = {50};
  const StepTraffic step{
      .weights = &weights,
      .sliding_windows = windows,
      .sequences = {starts, contexts},
      .experts_per_token = 4,
      .position_bytes = 256};
  EXPECT_DOUBLE_EQ(
      expected_step_bytes(step), 2 * 100 * 64 + 2 * (dense + 4 * expert) + 256 * (16 + 50)
  );
}

}  // namespace
}  // namespace gossamer::kernels
