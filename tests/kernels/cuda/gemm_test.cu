#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/cuda/gemm.cuh"
#include "kernels/cuda/gemm_kernels.cuh"
#include "tests/kernels/cuda/device_array.cuh"
#include "tests/kernels/cuda/packing.h"
#include "tests/kernels/cuda/test_values.h"

namespace gossamer::kernels::cuda {
namespace {

using tensor::BFloat16;

struct Case {
  int rows;
  int columns;
};

const std::vector<Case> kCases = {
    {8, 160},
    {16, 192},
    {48, 224},
    {320, 256},
    {136, 288},
    {1024, 192},
    {2880, 96},
    {272, 2880},
    {64, 4096}};
const std::vector<int> kTokenCounts = {
    1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 257, 300};
constexpr int kMaxTokens = 300;

const __nv_bfloat16* cuda_bf16(const BFloat16* values) {
  return reinterpret_cast<const __nv_bfloat16*>(values);
}

/// A layer, inputs for it, and what it makes of them.
struct Layer {
  int rows;
  int columns;
  std::vector<BFloat16> weight;
  std::vector<BFloat16> bias;
  std::vector<BFloat16> x;       // [kMaxTokens, columns]
  std::vector<double> expected;  // [kMaxTokens, rows], without the bias
  DeviceArray<std::byte> device_weight;
  DeviceArray<BFloat16> device_bias;
  DeviceArray<BFloat16> device_x;

  explicit Layer(Case c)
      : rows(c.rows),
        columns(c.columns),
        weight(normal_bf16s(size(c.rows, c.columns), 1, 1)),
        bias(normal_bf16s(size(c.rows, 1), 1, 2)),
        x(normal_bf16s(size(kMaxTokens, c.columns), 1, 3)),
        expected(size(kMaxTokens, c.rows)),
        device_weight(pack_bf16(weight, c.rows, c.columns)),
        device_bias(bias),
        device_x(x) {
    std::vector<float> w(weight.size());
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = weight[i].to_float();
    for (int t = 0; t < kMaxTokens; ++t) {
      for (int r = 0; r < rows; ++r) {
        double sum = 0;
        for (int k = 0; k < columns; ++k) {
          sum += static_cast<double>(w[size(r, columns) + k] * x[size(t, columns) + k].to_float());
        }
        expected[size(t, rows) + r] = sum;
      }
    }
  }

  static std::size_t size(int a, int b) {
    return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
  }

  GemmArgs args(int num_tokens, const DeviceArray<std::byte>& scratch) const {
    return {
        .x = cuda_bf16(device_x.data()),
        .weight = device_weight.data(),
        .bias = cuda_bf16(device_bias.data()),
        .y = nullptr,
        .scratch = scratch.data(),
        .x_stride = columns,
        .y_stride = rows,
        .num_tokens = num_tokens,
        .rows = rows,
        .columns = columns,
        .output = GemmOutput::kF32,
    };
  }

  /// A sum of n products of normal values has a magnitude of about sqrt(n).
  double tolerance() const { return 2e-6 * std::sqrt(columns) * 8; }

  std::string describe(int num_tokens, const char* what) const {
    return std::string(what) + ", " + std::to_string(num_tokens) + " tokens, " +
           std::to_string(rows) + " x " + std::to_string(columns);
  }
};

DeviceArray<std::byte> make_scratch() {
  DeviceArray<std::byte> scratch(gemm_scratch_bytes());
  check(cudaMemset(scratch.data(), 0, scratch.size()), "cudaMemset");
  return scratch;
}

void launch_planned(const GemmArgs& args, const GemmPlan& plan) {
  if (tokens_of(plan.tile) <= tokens_of(GemmTile::kStream16)) {
    launch_gemm_stream(args, plan, nullptr);
  } else {
    launch_gemm_tiled(args, plan, nullptr);
  }
}

/// Checks F32 without a bias.
template <class Launch>
void expect_product(
    const Layer& layer,
    int num_tokens,
    const DeviceArray<std::byte>& scratch,
    const char* what,
    const Launch& launch
) {
  const DeviceArray<float> y(Layer::size(num_tokens, layer.rows));
  GemmArgs args = layer.args(num_tokens, scratch);
  args.bias = nullptr;
  args.y = y.data();
  launch(args);
  std::vector<double> expected(layer.expected.begin(), layer.expected.begin() + y.size());
  expect_near_each(
      y.download(), expected, 1e-5, layer.tolerance(), layer.describe(num_tokens, what)
  );
}

TEST(GemmTest, EqualsTheDoubleProductForAllCountsOfTokens) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  const auto scratch = make_scratch();
  for (const Case& c : kCases) {
    const Layer layer(c);
    for (const int num_tokens : kTokenCounts) {
      expect_product(layer, num_tokens, scratch, "planned", [](const GemmArgs& args) {
        launch_gemm(args, nullptr);
      });
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(GemmTest, EveryTileAndSplitIsRight) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  const auto scratch = make_scratch();
  const GemmDevice device = gemm_device();
  for (const Case& c : kCases) {
    const Layer layer(c);
    for (const GemmPlan& plan : {
             GemmPlan{GemmTile::kTile32, 1},
             GemmPlan{GemmTile::kTile32, 2},
             GemmPlan{GemmTile::kTile64, 1},
             GemmPlan{GemmTile::kTile64, 3},
             GemmPlan{GemmTile::kTile128, 1},
             GemmPlan{GemmTile::kTile256, 1},
         }) {
      if (plan.tile == GemmTile::kTile256 && device.shared_bytes_per_block < 200 * 1024) continue;
      if (plan.splits * 64 > c.columns) continue;
      for (const int num_tokens : {1, 30, 64, 131, 300}) {
        const std::string what = "tile of " + std::to_string(tokens_of(plan.tile)) + ", splits " +
                                 std::to_string(plan.splits);
        expect_product(layer, num_tokens, scratch, what.c_str(), [&](const GemmArgs& args) {
          launch_planned(args, plan);
        });
      }
    }
  }
}

TEST(GemmTest, AddsTheBiasAndTheResidual) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  const auto scratch = make_scratch();
  const Layer layer({320, 256});
  for (const int num_tokens : {3, 12, 20, 40, 100, 300}) {
    const auto residual = normal_floats(Layer::size(num_tokens, layer.rows), 10, 5);
    const DeviceArray<float> sum(residual);
    const DeviceArray<float> y(residual.size());
    const DeviceArray<BFloat16> rounded(residual.size());
    GemmArgs args = layer.args(num_tokens, scratch);
    args.y = y.data();
    launch_gemm(args, nullptr);
    args.y = sum.data();
    args.output = GemmOutput::kAddF32;
    launch_gemm(args, nullptr);
    args.y = rounded.data();
    args.output = GemmOutput::kBf16;
    launch_gemm(args, nullptr);
    std::vector<double> expected(residual.size());
    std::vector<double> expected_sum(residual.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      expected[i] = layer.expected[i] + to_double(layer.bias[i % layer.rows]);
      expected_sum[i] = expected[i] + to_double(residual[i]);
    }
    const double tolerance = layer.tolerance();
    const std::string what = std::to_string(num_tokens) + " tokens";
    expect_near_each(y.download(), expected, 1e-5, tolerance, what + ", bias");
    expect_near_each(sum.download(), expected_sum, 1e-5, tolerance, what + ", residual");
    expect_near_each(rounded.download(), expected, kBf16Rounding, tolerance, what + ", bf16");
  }
}

TEST(GemmTest, RowsMayLieFurtherApart) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  const auto scratch = make_scratch();
  const Layer layer({48, 160});
  constexpr int kYStride = 64;
  for (const int num_tokens : {5, 30, 64, 140}) {
    std::vector<BFloat16> spread(Layer::size(num_tokens, 200));
    for (int t = 0; t < num_tokens; ++t) {
      std::memcpy(&spread[Layer::size(t, 200)], &layer.x[Layer::size(t, 160)], 160 * 2);
    }
    const DeviceArray<BFloat16> x(spread);
    const DeviceArray<float> y(std::vector<float>(Layer::size(num_tokens, kYStride), 7.0F));
    GemmArgs args = layer.args(num_tokens, scratch);
    args.x = cuda_bf16(x.data());
    args.x_stride = 200;
    args.bias = nullptr;
    args.y = y.data();
    args.y_stride = kYStride;
    launch_gemm(args, nullptr);
    std::vector<double> expected(y.size(), 7.0);
    for (int t = 0; t < num_tokens; ++t) {
      for (int r = 0; r < 48; ++r) {
        expected[Layer::size(t, kYStride) + r] = layer.expected[Layer::size(t, 48) + r];
      }
    }
    expect_near_each(
        y.download(), expected, 1e-5, layer.tolerance(), layer.describe(num_tokens, "strides")
    );
  }
}

TEST(GemmTest, RunsAreBitwiseTheSame) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  const auto scratch = make_scratch();
  const Layer layer({272, 2880});
  for (const int num_tokens : {8, 16, 32, 64, 300}) {
    std::vector<float> first;
    for (int run = 0; run < 5; ++run) {
      const DeviceArray<float> y(Layer::size(num_tokens, layer.rows));
      GemmArgs args = layer.args(num_tokens, scratch);
      args.y = y.data();
      launch_gemm(args, nullptr);
      const auto values = y.download();
      if (run == 0) first = values;
      EXPECT_EQ(std::memcmp(first.data(), values.data(), values.size() * 4), 0)
          << num_tokens << " tokens, run " << run;
    }
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda
