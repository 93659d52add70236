#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/cuda/route.cuh"
#include "tests/kernels/cuda/device_array.cuh"
#include "tests/kernels/cuda/test_values.h"

namespace gossamer::kernels::cuda {
namespace {

struct Routing {
  std::vector<std::int32_t> ids;
  std::vector<double> weights;
};

/// Sorts all experts of each token; equal ones stay in order.
Routing expected_routing(const std::vector<float>& logits, int num_experts, int per_token) {
  Routing routing;
  for (auto row = logits.begin(); row != logits.end(); row += num_experts) {
    std::vector<std::int32_t> order(static_cast<std::size_t>(num_experts));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return row[a] > row[b]; });
    double sum = 0;
    for (int j = 0; j < per_token; ++j) {
      sum +=
          std::exp(to_double(row[order[static_cast<std::size_t>(j)]]) - to_double(row[order[0]]));
    }
    for (int j = 0; j < per_token; ++j) {
      const std::int32_t id = order[static_cast<std::size_t>(j)];
      routing.ids.push_back(id);
      routing.weights.push_back(std::exp(to_double(row[id]) - to_double(row[order[0]])) / sum);
    }
  }
  return routing;
}

void expect_routed(const std::vector<float>& logits, int num_experts, int per_token) {
  const int tokens = static_cast<int>(logits.size()) / num_experts;
  const Routing expected = expected_routing(logits, num_experts, per_token);
  const DeviceArray<float> device_logits(logits);
  const DeviceArray<std::int32_t> ids(expected.ids.size());
  const DeviceArray<float> weights(expected.ids.size());
  launch_route(
      {device_logits.data(), ids.data(), weights.data(), tokens, num_experts, per_token}, nullptr
  );
  const std::string what = std::to_string(tokens) + " tokens, " + std::to_string(per_token) +
                           " of " + std::to_string(num_experts);
  EXPECT_EQ(ids.download(), expected.ids) << what;
  expect_near_each(weights.download(), expected.weights, kF32Rounding, 1e-38, what);
}

TEST(RouteTest, KeepsTheBestOfAnyNumberOfExperts) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const int num_experts : {4, 8, 16, 31, 32, 33, 128, 256}) {
    for (const int tokens : {1, 3, 4, 1000}) {
      expect_routed(
          normal_floats(static_cast<std::size_t>(tokens * num_experts), 2, 1), num_experts, 4
      );
    }
  }
  expect_routed(normal_floats(6, 2, 1), 6, 1);
  expect_routed(normal_floats(64, 2, 1), 32, 32);
}

TEST(RouteTest, BreaksTiesLow) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  expect_routed({1, 2, 3, 3, 2, 1, 0, 0, 0, 0, 0, 0, -5, 9, -5, 9, 9, -5}, 6, 4);
  expect_routed({0.0F, -0.0F, 0.0F, -0.0F, -1, -0.0F}, 6, 4);
  std::vector<float> few_values = normal_floats(500 * 128, 1, 2);
  for (float& value : few_values) value = std::round(value);
  expect_routed(few_values, 128, 4);
}

TEST(RouteTest, StaysWithinTheExpertsWhateverTheLogitsAre) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> logits = {
      kNan,
      kNan,
      kNan,
      kNan,
      kNan,
      kNan,  //
      1,
      kNan,
      2,
      kNan,
      -kInfinity,
      3,  //
      0,
      0,
      kInfinity,
      kNan,
      kInfinity,
      -kInfinity};
  const DeviceArray<float> device_logits(logits);
  const DeviceArray<std::int32_t> ids(12);
  const DeviceArray<float> weights(12);
  launch_route({device_logits.data(), ids.data(), weights.data(), 3, 6, 4}, nullptr);
  EXPECT_EQ(ids.download(), (std::vector<std::int32_t>{0, 1, 2, 3, 5, 2, 0, 1, 2, 4, 0, 1}));
}

}  // namespace
}  // namespace gossamer::kernels::cuda
