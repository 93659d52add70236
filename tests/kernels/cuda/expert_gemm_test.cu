#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "kernels/cuda/expert_gemm.cuh"
#include "kernels/cuda/expert_kernels.cuh"
#include "kernels/cuda/expert_plan.h"
#include "kernels/cuda/gemm_kernels.cuh"
#include "tests/kernels/cuda/device_array.cuh"
#include "tests/kernels/cuda/packing.h"
#include "tests/kernels/cuda/test_values.h"

namespace gossamer::kernels::cuda {
namespace {

using tensor::BFloat16;

constexpr float kLimit = 7.0F;
const std::vector<int> kTokenCounts = {
    1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 300};

const __nv_bfloat16* cuda_bf16(const BFloat16* values) {
  return reinterpret_cast<const __nv_bfloat16*>(values);
}

/// The experts of each token, all different, low ones more often.
std::vector<std::int32_t> random_experts(int num_tokens, int num_experts, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<std::int32_t> ids;
  for (int t = 0; t < num_tokens; ++t) {
    std::vector<std::int32_t> mine;
    while (mine.size() < 4) {
      const double u = uniform(random);
      const auto id = static_cast<std::int32_t>(u * u * num_experts);
      if (std::find(mine.begin(), mine.end(), id) == mine.end()) mine.push_back(id);
    }
    ids.insert(ids.end(), mine.begin(), mine.end());
  }
  return ids;
}

/// Groups on the device, with the memory that they lie in.
struct DeviceGroups {
  DeviceArray<std::int32_t> ids;
  DeviceArray<std::byte> memory;
  ExpertGroups groups;

  /// In tiles of at most so many pairs, or as planned.
  DeviceGroups(const std::vector<std::int32_t>& expert_ids, int num_experts, int tile_pairs = 0)
      : ids(expert_ids),
        memory(expert_groups_bytes(static_cast<std::int64_t>(expert_ids.size()), num_experts)),
        groups(expert_groups_at(
            memory.data(), static_cast<std::int64_t>(expert_ids.size()), num_experts
        )) {
    const GroupByExpertArgs args{
        .expert_ids = ids.data(),
        .groups = groups,
        .num_pairs = static_cast<int>(expert_ids.size()),
        .num_experts = num_experts,
    };
    if (tile_pairs == 0) {
      launch_group_by_expert(args, nullptr);
    } else {
      launch_group_by_expert(args, tile_pairs, nullptr);
    }
  }
};

template <class T>
std::vector<T> download(const T* from, std::size_t size) {
  std::vector<T> values(size);
  check(cudaMemcpy(values.data(), from, size * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
  return values;
}

void expect_grouped(const std::vector<std::int32_t>& ids, int num_experts) {
  const DeviceGroups device(ids, num_experts);
  const std::string what =
      std::to_string(ids.size()) + " pairs, " + std::to_string(num_experts) + " experts";
  std::vector<std::int32_t> pairs(ids.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = static_cast<std::int32_t>(i);
  std::stable_sort(pairs.begin(), pairs.end(), [&](std::int32_t a, std::int32_t b) {
    return ids[static_cast<std::size_t>(a)] < ids[static_cast<std::size_t>(b)];
  });
  EXPECT_TRUE(download(device.groups.pairs, ids.size()) == pairs) << what;
  const auto offsets = download(device.groups.offsets, static_cast<std::size_t>(num_experts) + 1);
  const int num_tiles = download(device.groups.num_tiles, 1)[0];
  const auto num_pairs = static_cast<std::int64_t>(ids.size());
  ASSERT_LE(num_tiles, max_expert_tiles(num_pairs, num_experts)) << what;
  const auto tiles = download(device.groups.tiles, static_cast<std::size_t>(num_tiles));
  std::size_t tile = 0;
  for (int e = 0; e < num_experts; ++e) {
    const auto count = static_cast<int>(std::count(ids.begin(), ids.end(), e));
    const auto first = offsets[static_cast<std::size_t>(e)];
    ASSERT_EQ(offsets[static_cast<std::size_t>(e) + 1] - first, count) << what << ", expert " << e;
    for (int done = 0; done < count; done += tiles[tile++].count) {
      ASSERT_LT(tile, tiles.size()) << what;
      ASSERT_EQ(tiles[tile].expert, e) << what;
      ASSERT_EQ(tiles[tile].begin, first + done) << what;
      ASSERT_GT(tiles[tile].count, 0) << what;
      ASSERT_LE(tiles[tile].count, expert_tile_pairs(num_pairs, num_experts)) << what;
    }
  }
  EXPECT_EQ(tile, tiles.size()) << what;
}

TEST(GroupByExpertTest, SortsStablyAndCutsEveryExpertIntoTiles) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const int num_experts : {4, 8, 32, 128}) {
    for (const int num_tokens : {1, 2, 7, 8, 31, 64, 65, 300, 2048, 8192}) {
      expect_grouped(random_experts(num_tokens, num_experts, 1), num_experts);
    }
    expect_grouped(std::vector<std::int32_t>(1000, num_experts - 1), num_experts);
    expect_grouped({num_experts - 1, 0, num_experts - 1}, num_experts);
  }
}

/// Experts, inputs for them, and what they make of them.
struct Experts {
  int num_experts;
  int rows;
  int columns;
  std::vector<Fp4Matrix> matrices;
  std::vector<std::vector<float>> values;  // of the matrices
  std::vector<BFloat16> bias;
  std::vector<BFloat16> x;  // [max_rows, columns]
  DeviceArray<std::byte> device_weight;
  DeviceArray<BFloat16> device_bias;
  DeviceArray<BFloat16> device_x;

  Experts(int experts, int rows, int columns, int max_x_rows)
      : num_experts(experts),
        rows(rows),
        columns(columns),
        matrices(random_matrices(experts, rows, columns)),
        values(values_of(matrices)),
        bias(normal_bf16s(size(experts, rows), 1, 2)),
        x(normal_bf16s(size(max_x_rows, columns), 1, 3)),
        device_weight(pack_all(matrices)),
        device_bias(bias),
        device_x(x) {}

  static std::size_t size(int a, int b) {
    return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
  }

  static std::vector<Fp4Matrix> random_matrices(int experts, int rows, int columns) {
    std::mt19937_64 random(7);
    std::vector<Fp4Matrix> matrices;
    for (int e = 0; e < experts; ++e) {
      Fp4Matrix matrix{rows, columns, {}, {}};
      matrix.codes.resize(size(rows, columns));
      matrix.scales.resize(size(rows, columns / 32));
      for (auto& code : matrix.codes) code = static_cast<std::uint8_t>(random() % 16);
      for (auto& scale : matrix.scales) scale = static_cast<std::uint8_t>(121 + random() % 5);
      matrices.push_back(std::move(matrix));
    }
    return matrices;
  }

  static std::vector<std::vector<float>> values_of(const std::vector<Fp4Matrix>& matrices) {
    std::vector<std::vector<float>> values(matrices.size());
    for (std::size_t e = 0; e < values.size(); ++e) {
      for (std::int64_t r = 0; r < matrices[e].rows; ++r) {
        for (std::int64_t k = 0; k < matrices[e].columns; ++k) {
          values[e].push_back(static_cast<float>(matrices[e].value(r, k)));
        }
      }
    }
    return values;
  }

  static std::vector<std::byte> pack_all(const std::vector<Fp4Matrix>& matrices) {
    std::vector<std::byte> packed;
    for (const Fp4Matrix& matrix : matrices) {
      const auto one = pack_fp4(matrix);
      packed.insert(packed.end(), one.begin(), one.end());
    }
    return packed;
  }

  /// [pairs, rows], with the bias.
  std::vector<double> product(const std::vector<std::int32_t>& ids, int pairs_per_row) const {
    std::vector<float> inputs(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) inputs[i] = x[i].to_float();
    std::vector<double> y;
    for (std::size_t p = 0; p < ids.size(); ++p) {
      const auto e = static_cast<std::size_t>(ids[p]);
      const float* in = &inputs[p / static_cast<std::size_t>(pairs_per_row) * columns];
      for (int r = 0; r < rows; ++r) {
        double sum = to_double(bias[e * rows + r]);
        const float* w = &values[e][size(r, columns)];
        for (int k = 0; k < columns; ++k) sum += static_cast<double>(w[k] * in[k]);
        y.push_back(sum);
      }
    }
    return y;
  }

  ExpertGemmArgs args(const DeviceGroups& groups, int pairs_per_row) const {
    return {
        .x = cuda_bf16(device_x.data()),
        .weight = device_weight.data(),
        .bias = cuda_bf16(device_bias.data()),
        .groups = groups.groups,
        .y = nullptr,
        .num_pairs = static_cast<int>(groups.ids.size()),
        .pairs_per_row = pairs_per_row,
        .num_experts = num_experts,
        .rows = rows,
        .columns = columns,
        .output = ExpertGemmOutput::kF32,
        .swiglu_limit = kLimit,
    };
  }
};

std::vector<double> swiglu(const std::vector<double>& z) {
  std::vector<double> y;
  for (std::size_t i = 0; i < z.size(); i += 2) {
    const double u = std::min(z[i], to_double(kLimit));
    const double v = std::clamp(z[i + 1], -to_double(kLimit), to_double(kLimit));
    y.push_back(u / (1.0 + std::exp(-1.702 * u)) * (v + 1.0));
  }
  return y;
}

/// A kernel and its tiles; none is what is planned.
struct Kernel {
  std::optional<ExpertKernel> kernel;
  int tile_pairs = 0;

  std::string name() const {
    if (!kernel) return "planned";
    constexpr const char* kNames[] = {"ring ", "stream ", "tiled "};
    return kNames[static_cast<int>(*kernel)] + std::to_string(tile_pairs);
  }
  void run(const ExpertGemmArgs& args) const {
    if (!kernel) return launch_expert_gemm(args, nullptr);
    launch_expert_gemm(*kernel, args, tile_pairs, gemm_device(), nullptr);
  }
};

std::vector<Kernel> kernels_for(int columns) {
  const GemmDevice device = gemm_device();
  std::vector<Kernel> kernels = {{}};
  for (const ExpertKernel kernel : {ExpertKernel::kRing, ExpertKernel::kStream}) {
    if (can_run(kernel, kExpertStreamPairs, columns, device)) {
      kernels.push_back({kernel, kExpertStreamPairs});
    }
  }
  for (const int pairs : {32, 64, 128, 256}) kernels.push_back({ExpertKernel::kTiled, pairs});
  return kernels;
}

void expect_products(const Experts& experts, int num_tokens) {
  const auto ids = random_experts(num_tokens, experts.num_experts, 5);
  // Sums have a magnitude of about sqrt(columns) / 4.
  const double tolerance = 4e-6 * std::sqrt(experts.columns);
  for (const int pairs_per_row : {4, 1}) {
    const auto expected = experts.product(ids, pairs_per_row);
    const auto expected_hidden = swiglu(expected);
    for (const Kernel& kernel : kernels_for(experts.columns)) {
      const DeviceGroups groups(ids, experts.num_experts, kernel.tile_pairs);
      const std::string what = kernel.name() + ", " + std::to_string(num_tokens) + " tokens, " +
                               std::to_string(experts.num_experts) + " experts, " +
                               std::to_string(experts.rows) + " x " +
                               std::to_string(experts.columns);
      const DeviceArray<float> y(expected.size());
      ExpertGemmArgs args = experts.args(groups, pairs_per_row);
      args.y = y.data();
      kernel.run(args);
      expect_near_each(y.download(), expected, 1e-5, tolerance, what + ", F32");
      const DeviceArray<BFloat16> hidden(expected_hidden.size());
      args.y = hidden.data();
      args.output = ExpertGemmOutput::kSwiglu;
      kernel.run(args);
      // The clamped factors are up to 7 and 8 times as sensitive as the sums.
      expect_near_each(
          hidden.download(), expected_hidden, kBf16Rounding, 16 * tolerance, what + ", SwiGLU"
      );
    }
  }
}

TEST(ExpertGemmTest, EqualsTheDoubleProductForAllCountsOfTokens) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  const std::vector<std::array<int, 3>> shapes = {
      {8, 320, 192}, {8, 192, 160}, {16, 448, 288}, {8, 288, 224}, {4, 256, 256}, {32, 144, 96}};
  for (const auto& [num_experts, rows, columns] : shapes) {
    const Experts experts(num_experts, rows, columns, 1200);
    for (const int num_tokens : kTokenCounts) {
      expect_products(experts, num_tokens);
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(ExpertGemmTest, IsRightAtTheReleasedWidth) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  const Experts experts(4, 208, 2880, 400);
  for (const int num_tokens : {1, 4, 9, 20, 60, 100}) expect_products(experts, num_tokens);
}

/// One matrix whose every row has one scale byte, and in turn all codes; x picks them one by one.
void expect_exact_scales(int first_byte, const Kernel& kernel) {
  constexpr int kRows = 128;
  constexpr int kColumns = 32;
  Fp4Matrix matrix{kRows, kColumns, {}, {}};
  for (int r = 0; r < kRows; ++r) {
    for (int k = 0; k < kColumns; ++k) matrix.codes.push_back(static_cast<std::uint8_t>(k % 16));
    matrix.scales.push_back(static_cast<std::uint8_t>(std::min(first_byte + r, 254)));
  }
  // Token t is a power of two in column t, which brings the product into the range of float.
  const double factor = first_byte == 0 ? 0x1p20 : 0x1p-4;
  std::vector<BFloat16> x(kColumns * kColumns);
  for (int t = 0; t < kColumns; ++t) {
    x[static_cast<std::size_t>(t * kColumns + t)] =
        BFloat16::from_float(static_cast<float>(factor));
  }
  std::vector<double> expected;
  for (int t = 0; t < kColumns; ++t) {
    for (int r = 0; r < kRows; ++r) {
      // Weights that no bf16 holds are not asked for.
      const double value = matrix.value(r, t);
      expected.push_back(std::abs(value) < 0x1p128 ? value * factor : INFINITY);
    }
  }
  const DeviceArray<std::byte> weight(pack_fp4(matrix));
  const DeviceArray<BFloat16> bias(std::vector<BFloat16>(std::size_t{kRows}));
  const DeviceArray<BFloat16> device_x(x);
  const DeviceGroups groups(std::vector<std::int32_t>(kColumns, 0), 1, kernel.tile_pairs);
  const DeviceArray<float> y(expected.size());
  kernel.run({
      .x = cuda_bf16(device_x.data()),
      .weight = weight.data(),
      .bias = cuda_bf16(bias.data()),
      .groups = groups.groups,
      .y = y.data(),
      .num_pairs = kColumns,
      .pairs_per_row = 1,
      .num_experts = 1,
      .rows = kRows,
      .columns = kColumns,
      .output = ExpertGemmOutput::kF32,
      .swiglu_limit = 0,
  });
  const auto actual = y.download();
  int differences = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    // A row that has a weight which is not finite is not finite.
    const int byte = matrix.scales[i % kRows];
    if (byte > 252) continue;
    if (to_double(actual[i]) == expected[i] || differences++ > 3) continue;
    ADD_FAILURE() << kernel.name() << ", scale byte " << byte << ", code " << i / kRows % 16 << ": "
                  << actual[i] << " instead of " << expected[i];
  }
  EXPECT_EQ(differences, 0) << kernel.name();
}

TEST(ExpertGemmTest, EveryCodeAndScaleIsExact) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const int first_byte : {0, 127}) {
    for (const Kernel& kernel : kernels_for(32)) expect_exact_scales(first_byte, kernel);
  }
}

TEST(ExpertGemmTest, RunsAreBitwiseTheSame) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  const Experts experts(8, 320, 192, 300);
  for (const int num_tokens : {4, 20, 300}) {
    const DeviceGroups groups(random_experts(num_tokens, 8, 5), 8);
    std::vector<float> first;
    for (int run = 0; run < 5; ++run) {
      const DeviceArray<float> y(Experts::size(num_tokens * 4, experts.rows));
      ExpertGemmArgs args = experts.args(groups, 4);
      args.y = y.data();
      launch_expert_gemm(args, nullptr);
      const auto values = y.download();
      if (run == 0) first = values;
      EXPECT_EQ(std::memcmp(first.data(), values.data(), values.size() * 4), 0)
          << num_tokens << " tokens, run " << run;
    }
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda
