// The operations that have no product in them, against the same formulas in double.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/cuda/add.cuh"
#include "kernels/cuda/combine_experts.cuh"
#include "kernels/cuda/embed.cuh"
#include "kernels/cuda/gather_rows.cuh"
#include "kernels/cuda/rms_norm.cuh"
#include "kernels/cuda/swiglu.cuh"
#include "tests/kernels/cuda/device_array.cuh"
#include "tests/kernels/cuda/test_values.h"

namespace gossamer::kernels::cuda {
namespace {

const std::vector<int> kWidths = {1, 2, 3, 4, 31, 192, 1027, 2880};

__nv_bfloat16* bf16(const DeviceArray<BFloat16>& array) {
  return reinterpret_cast<__nv_bfloat16*>(array.data());
}

std::size_t count(int rows, int columns) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
}

TEST(ElementwiseTest, EmbedWidensRowsExactly) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const int hidden : kWidths) {
    const auto embedding = normal_bf16s(count(40, hidden), 1, 1);
    const std::vector<std::int32_t> tokens = {39, 0, 7, 7};
    const DeviceArray<BFloat16> device_embedding(embedding);
    const DeviceArray<std::int32_t> device_tokens(tokens);
    const DeviceArray<float> x(count(4, hidden));
    launch_embed({device_tokens.data(), bf16(device_embedding), x.data(), 4, hidden}, nullptr);
    std::vector<double> expected;
    for (const std::int32_t token : tokens) {
      for (int i = 0; i < hidden; ++i) {
        expected.push_back(to_double(embedding[count(token, hidden) + static_cast<std::size_t>(i)])
        );
      }
    }
    expect_near_each(x.download(), expected, 0, 0, std::to_string(hidden) + " columns");
  }
}

TEST(ElementwiseTest, GatherRowsCopies) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const int columns : kWidths) {
    const auto x = normal_floats(count(9, columns), 1, 2);
    const std::vector<std::int32_t> rows = {0, 3, 8};
    const DeviceArray<float> device_x(x);
    const DeviceArray<std::int32_t> device_rows(rows);
    const DeviceArray<float> out(count(3, columns));
    launch_gather_rows({device_x.data(), device_rows.data(), out.data(), 3, columns}, nullptr);
    std::vector<double> expected;
    for (const std::int32_t row : rows) {
      for (int i = 0; i < columns; ++i) {
        expected.push_back(to_double(x[count(row, columns) + static_cast<std::size_t>(i)]));
      }
    }
    expect_near_each(out.download(), expected, 0, 0, std::to_string(columns) + " columns");
  }
}

template <class Out>
void expect_rms_norm(int tokens, int hidden, float deviation, double rounding) {
  const auto x = normal_floats(count(tokens, hidden), deviation, 3);
  const auto scale = normal_bf16s(static_cast<std::size_t>(hidden), 1, 4);
  const DeviceArray<float> device_x(x);
  const DeviceArray<BFloat16> device_scale(scale);
  const DeviceArray<Out> y(x.size());
  launch_rms_norm(
      {device_x.data(),
       bf16(device_scale),
       1e-5F,
       y.data(),
       tensor::DTypeOf<Out>::kValue,
       tokens,
       hidden},
      nullptr
  );
  std::vector<double> expected;
  for (std::size_t t = 0; t < static_cast<std::size_t>(tokens); ++t) {
    const float* row = x.data() + t * scale.size();
    double squares = 0;
    for (std::size_t i = 0; i < scale.size(); ++i) squares += to_double(row[i]) * to_double(row[i]);
    const double factor = 1 / std::sqrt(squares / hidden + 1e-5);
    for (std::size_t i = 0; i < scale.size(); ++i) {
      expected.push_back(to_double(row[i]) * factor * to_double(scale[i]));
    }
  }
  expect_near_each(
      y.download(),
      expected,
      rounding,
      1e-38,
      std::to_string(tokens) + " x " + std::to_string(hidden) + ", deviation " +
          std::to_string(deviation)
  );
}

TEST(ElementwiseTest, RmsNormRoundsOnceForEveryWidth) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const int hidden : kWidths) {
    for (const int tokens : {1, 5}) {
      expect_rms_norm<BFloat16>(tokens, hidden, 1, kBf16Rounding);
      expect_rms_norm<float>(tokens, hidden, 1, kF32Rounding);
    }
  }
  // The epsilon matters to the first, and the squares of the last are large.
  for (const float deviation : {1e-3F, 0.0F, 1e4F}) {
    expect_rms_norm<float>(2, 2880, deviation, kF32Rounding);
  }
  expect_rms_norm<BFloat16>(3000, 192, 1, kBf16Rounding);
}

TEST(ElementwiseTest, AddAdds) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const int size : {1, 3, 4, 255, 1027, 3 * 2880, 300000}) {
    const auto x = normal_floats(static_cast<std::size_t>(size), 1, 5);
    const auto y = normal_floats(static_cast<std::size_t>(size), 1, 6);
    const DeviceArray<float> device_x(x);
    const DeviceArray<float> device_y(y);
    launch_add({device_y.data(), device_x.data(), size}, nullptr);
    std::vector<double> expected;
    for (std::size_t i = 0; i < x.size(); ++i) expected.push_back(to_double(x[i] + y[i]));
    expect_near_each(device_x.download(), expected, 0, 0, std::to_string(size));
  }
}

TEST(ElementwiseTest, SwigluClampsAndStaysFinite) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  constexpr double kLimit = 7;
  for (const int size : {1, 7, 160, 5 * 2880}) {
    auto x = normal_floats(2 * static_cast<std::size_t>(size), 6, 7);
    x[0] = -3000;
    x[1] = 3000;
    x[x.size() - 2] = 3000;
    x[x.size() - 1] = -3000;
    const DeviceArray<float> device_x(x);
    const DeviceArray<BFloat16> y(static_cast<std::size_t>(size));
    launch_swiglu({device_x.data(), static_cast<float>(kLimit), bf16(y), size}, nullptr);
    std::vector<double> expected;
    for (std::size_t k = 0; k < static_cast<std::size_t>(size); ++k) {
      const double u = std::min(to_double(x[2 * k]), kLimit);
      const double v = std::clamp(to_double(x[2 * k + 1]), -kLimit, kLimit);
      expected.push_back(u / (1 + std::exp(-1.702 * u)) * (v + 1));
    }
    // Where v + 1 cancels, its rounding to float is all there is.
    expect_near_each(y.download(), expected, kBf16Rounding, 1e-5, std::to_string(size));
  }
}

TEST(ElementwiseTest, CombineExpertsAddsTheWeightedSum) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const int hidden : kWidths) {
    for (const int per_token : {1, 4}) {
      constexpr int kTokens = 5;
      const auto rows = static_cast<std::size_t>(kTokens * per_token);
      const auto y = normal_floats(rows * static_cast<std::size_t>(hidden), 1, 8);
      const auto weights = normal_floats(rows, 1, 9);
      const auto x = normal_floats(count(kTokens, hidden), 1, 10);
      const DeviceArray<float> device_y(y);
      const DeviceArray<float> device_weights(weights);
      const DeviceArray<float> device_x(x);
      launch_combine_experts(
          {device_y.data(), device_weights.data(), device_x.data(), kTokens, per_token, hidden},
          nullptr
      );
      std::vector<double> expected(x.begin(), x.end());
      for (std::size_t row = 0; row < rows; ++row) {
        const std::size_t token = row / static_cast<std::size_t>(per_token);
        for (std::size_t i = 0; i < static_cast<std::size_t>(hidden); ++i) {
          expected[token * static_cast<std::size_t>(hidden) + i] +=
              to_double(weights[row]) * to_double(y[row * static_cast<std::size_t>(hidden) + i]);
        }
      }
      // Five terms of about 1 may cancel.
      expect_near_each(
          device_x.download(),
          expected,
          kF32Rounding,
          2e-6,
          std::to_string(hidden) + " columns, " + std::to_string(per_token) + " experts"
      );
    }
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda
