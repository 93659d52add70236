// Rotary positions, and where keys and values go, against the same formulas in double.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/cuda/place_qkv.cuh"
#include "kernels/cuda/rope_table.cuh"
#include "kernels/cuda/rotate.cuh"
#include "kernels/cuda/store_kv.cuh"
#include "kernels/step.h"
#include "tests/kernels/cuda/device_array.cuh"
#include "tests/kernels/cuda/test_values.h"

namespace gossamer::kernels::cuda {
namespace {

constexpr std::size_t kHeadDim = 64;
constexpr std::size_t kPairs = kHeadDim / 2;
constexpr double kConcentration = 1.3465735902799727;

__nv_bfloat16* bf16(const DeviceArray<BFloat16>& array) {
  return reinterpret_cast<__nv_bfloat16*>(array.data());
}

RopeTableArgs rope_table_args(
    const DeviceArray<std::int32_t>& positions, const DeviceArray<float>& table
) {
  RopeTableArgs args{
      .positions = positions.data(),
      .table = table.data(),
      .num_tokens = static_cast<int>(positions.size()),
      .num_pairs = kPairs,
      .concentration = kConcentration,
      .inverse_frequencies = {},
  };
  for (std::size_t i = 0; i < kPairs; ++i) {
    args.inverse_frequencies[i] = std::pow(150000.0, -static_cast<double>(i) / kPairs);
  }
  return args;
}

TEST(RotaryTest, TableIsRightToFloatAtFarPositions) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  std::vector<std::int32_t> positions = {0, 1, 127, 4096, 131071};
  for (std::int32_t p = 130000; p < 131072; p += 7) positions.push_back(p);
  const DeviceArray<std::int32_t> device_positions(positions);
  const DeviceArray<float> table(positions.size() * kHeadDim);
  const RopeTableArgs args = rope_table_args(device_positions, table);
  launch_rope_table(args, nullptr);
  std::vector<double> expected;
  for (const std::int32_t position : positions) {
    for (std::size_t i = 0; i < kHeadDim; ++i) {
      const double angle = position * args.inverse_frequencies[i % kPairs];
      expected.push_back((i < kPairs ? std::cos(angle) : std::sin(angle)) * kConcentration);
    }
  }
  expect_near_each(table.download(), expected, 1e-7, 1e-12, "table");
}

/// A table of arbitrary numbers does as well as one of cosines.
struct Rotation {
  std::vector<float> table;
  int num_tokens;

  explicit Rotation(int tokens)
      : table(normal_floats(static_cast<std::size_t>(tokens) * kHeadDim, 1, 1)),
        num_tokens(tokens) {}

  /// A head of a token, rotated.
  std::vector<double> rotated(const BFloat16* head, std::size_t token) const {
    std::vector<double> out(kHeadDim);
    for (std::size_t i = 0; i < kPairs; ++i) {
      const double cosine = to_double(table[token * kHeadDim + i]);
      const double sine = to_double(table[token * kHeadDim + kPairs + i]);
      const double a = to_double(head[i]);
      const double b = to_double(head[kPairs + i]);
      out[i] = a * cosine - b * sine;
      out[kPairs + i] = b * cosine + a * sine;
    }
    return out;
  }
};

TEST(RotaryTest, RotateTurnsEveryHeadByItsTokensRow) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const int heads : {1, 2, 8, 17, 64}) {
    for (const int tokens : {1, 3, 33}) {
      const Rotation rotation(tokens);
      const auto x = normal_bf16s(static_cast<std::size_t>(tokens * heads) * kHeadDim, 1, 2);
      const DeviceArray<float> table(rotation.table);
      const DeviceArray<BFloat16> device_x(x);
      launch_rotate({table.data(), bf16(device_x), tokens, heads}, nullptr);
      std::vector<double> expected;
      for (std::size_t head = 0; head < static_cast<std::size_t>(tokens * heads); ++head) {
        const auto out =
            rotation.rotated(x.data() + head * kHeadDim, head / static_cast<std::size_t>(heads));
        expected.insert(expected.end(), out.begin(), out.end());
      }
      // The two products may cancel.
      expect_near_each(
          device_x.download(),
          expected,
          kBf16Rounding,
          1e-6,
          std::to_string(tokens) + " tokens, " + std::to_string(heads) + " heads"
      );
    }
  }
}

/// Random slots of a cache, all different.
class Slots {
 public:
  Slots(int num_tokens, int num_blocks)
      : slots_(static_cast<std::size_t>(num_blocks * kBlockSize)) {
    std::iota(slots_.begin(), slots_.end(), 0);
    std::mt19937_64 random(3);
    std::shuffle(slots_.begin(), slots_.end(), random);
    slots_.resize(static_cast<std::size_t>(num_tokens));
  }

  const std::vector<std::int32_t>& all() const { return slots_; }

  /// Where elements of a token's key and value lie in caches of [blocks, heads, ..] cells.
  std::size_t key_index(std::size_t token, std::size_t head, std::size_t heads, std::size_t d)
      const {
    return cell(token, head, heads) + offset(token) * kHeadDim + d;
  }
  std::size_t value_index(std::size_t token, std::size_t head, std::size_t heads, std::size_t d)
      const {
    return cell(token, head, heads) + d * kBlockSize + offset(token);
  }

 private:
  std::size_t offset(std::size_t token) const {
    return static_cast<std::size_t>(slots_[token] % kBlockSize);
  }
  std::size_t cell(std::size_t token, std::size_t head, std::size_t heads) const {
    const auto block = static_cast<std::size_t>(slots_[token] / kBlockSize);
    return (block * heads + head) * kBlockSize * kHeadDim;
  }

  std::vector<std::int32_t> slots_;
};

/// Compares with NaN kept where nothing was to be written.
void expect_cache(
    const std::vector<BFloat16>& actual,
    const std::vector<double>& expected,
    const std::string& what
) {
  std::vector<BFloat16> written;
  std::vector<double> expected_written;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i])) {
      kept += std::isnan(to_double(actual[i])) ? 0 : 1;
    } else {
      written.push_back(actual[i]);
      expected_written.push_back(expected[i]);
    }
  }
  EXPECT_EQ(kept, 0U) << what << ": other slots were written";
  expect_near_each(written, expected_written, kBf16Rounding, 1e-6, what);
}

TEST(RotaryTest, StoreKvPutsKeysInRowsAndValuesInColumnsOfTheirCells) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  constexpr int kBlocks = 5;
  for (const std::size_t heads : {1, 2, 8}) {
    for (const int tokens : {1, 7, 40}) {
      const Slots slots(tokens, kBlocks);
      const std::size_t size = static_cast<std::size_t>(tokens) * heads * kHeadDim;
      const auto k = normal_bf16s(size, 1, 4);
      const auto v = normal_bf16s(size, 1, 5);
      const std::size_t cache_size = kBlocks * heads * kBlockSize * kHeadDim;
      const DeviceArray<BFloat16> device_k(k);
      const DeviceArray<BFloat16> device_v(v);
      const DeviceArray<std::int32_t> device_slots(slots.all());
      const DeviceArray<BFloat16> keys(cache_size);
      const DeviceArray<BFloat16> values(cache_size);
      launch_store_kv(
          {bf16(device_k),
           bf16(device_v),
           device_slots.data(),
           bf16(keys),
           bf16(values),
           tokens,
           static_cast<int>(heads)},
          nullptr
      );
      std::vector<double> expected_keys(cache_size, std::nan(""));
      std::vector<double> expected_values(cache_size, std::nan(""));
      for (std::size_t i = 0; i < size; ++i) {
        const std::size_t d = i % kHeadDim;
        const std::size_t head = i / kHeadDim % heads;
        const std::size_t token = i / kHeadDim / heads;
        expected_keys[slots.key_index(token, head, heads, d)] = to_double(k[i]);
        expected_values[slots.value_index(token, head, heads, d)] = to_double(v[i]);
      }
      const std::string what = std::to_string(tokens) + " tokens, " + std::to_string(heads);
      expect_cache(keys.download(), expected_keys, what + " heads of keys");
      expect_cache(values.download(), expected_values, what + " heads of values");
    }
  }
}

struct QkvShape {
  std::size_t tokens;
  std::size_t heads;
  std::size_t kv_heads;
};

void expect_placed(QkvShape shape) {
  constexpr int kBlocks = 7;
  const std::size_t all_heads = shape.heads + 2 * shape.kv_heads;
  const Rotation rotation(static_cast<int>(shape.tokens));
  const Slots slots(static_cast<int>(shape.tokens), kBlocks);
  const auto qkv = normal_bf16s(shape.tokens * all_heads * kHeadDim, 1, 6);
  const std::size_t cache_size = kBlocks * shape.kv_heads * kBlockSize * kHeadDim;
  const DeviceArray<BFloat16> device_qkv(qkv);
  const DeviceArray<float> table(rotation.table);
  const DeviceArray<std::int32_t> device_slots(slots.all());
  const DeviceArray<BFloat16> q(shape.tokens * shape.heads * kHeadDim);
  const DeviceArray<BFloat16> keys(cache_size);
  const DeviceArray<BFloat16> values(cache_size);
  launch_place_qkv(
      {.qkv = bf16(device_qkv),
       .rope_table = table.data(),
       .slot_mapping = device_slots.data(),
       .q = bf16(q),
       .keys = bf16(keys),
       .values = bf16(values),
       .num_tokens = static_cast<int>(shape.tokens),
       .num_heads = static_cast<int>(shape.heads),
       .num_kv_heads = static_cast<int>(shape.kv_heads)},
      nullptr
  );
  std::vector<double> expected_q;
  std::vector<double> expected_keys(cache_size, std::nan(""));
  std::vector<double> expected_values(cache_size, std::nan(""));
  for (std::size_t token = 0; token < shape.tokens; ++token) {
    for (std::size_t head = 0; head < all_heads; ++head) {
      const BFloat16* from = qkv.data() + (token * all_heads + head) * kHeadDim;
      const std::vector<double> turned = rotation.rotated(from, token);
      for (std::size_t d = 0; d < kHeadDim; ++d) {
        if (head < shape.heads) {
          expected_q.push_back(turned[d]);
        } else if (head < shape.heads + shape.kv_heads) {
          expected_keys[slots.key_index(token, head - shape.heads, shape.kv_heads, d)] = turned[d];
        } else {
          const std::size_t kv_head = head - shape.heads - shape.kv_heads;
          expected_values[slots.value_index(token, kv_head, shape.kv_heads, d)] =
              to_double(from[d]);
        }
      }
    }
  }
  const std::string what = std::to_string(shape.tokens) + " tokens, " +
                           std::to_string(shape.heads) + " + " + std::to_string(shape.kv_heads);
  expect_near_each(q.download(), expected_q, kBf16Rounding, 1e-6, what + " heads, queries");
  expect_cache(keys.download(), expected_keys, what + " heads, keys");
  expect_cache(values.download(), expected_values, what + " heads, values");
}

TEST(RotaryTest, PlaceQkvRotatesAndStores) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const std::size_t tokens : {1, 5, 80}) {
    for (const auto& [heads, kv_heads] : {std::pair{8, 2}, {16, 2}, {64, 8}, {3, 1}}) {
      expect_placed({tokens, static_cast<std::size_t>(heads), static_cast<std::size_t>(kv_heads)});
    }
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda
