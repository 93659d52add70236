// Every operation of the CPU backend against the double-precision one, over edge shapes, on every
// instruction set of this machine.

#include "kernels/cpu/cpu_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/host_indices.h"
#include "kernels/reference/reference_backend.h"
#include "tests/kernels/random_tensors.h"

namespace gossamer::kernels::cpu {
namespace {

using reference::ReferenceBackend;
using tensor::DType;
using testing::ElementsAre;
using testing::ElementsAreArray;

// docs/numerics.md derives these from float's 2^-24.
constexpr double kProductTolerance = 2e-6;
constexpr double kElementTolerance = 1e-6;

/// One instruction set of this machine, in force while the test runs.
class CpuBackendTest : public testing::TestWithParam<std::int64_t> {
 protected:
  void SetUp() override {
    hwy::SetSupportedTargetsForTest(GetParam());
    backend_ = std::make_unique<CpuBackend>(3);
    ASSERT_TRUE(backend_->reserve(limits_).ok());
    ASSERT_TRUE(reference_.reserve(limits_).ok());
  }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }

  static constexpr int kMaxTokens = 70;
  StepLimits limits_{
      .max_tokens = kMaxTokens,
      .max_sequences = 8,
      .max_context = 600,
      .hidden_size = 320,
      .intermediate_size = 320,
      .num_attention_heads = 16,
      .num_key_value_heads = 2,
      .head_dim = 64,
      .num_experts = 16,
      .experts_per_token = 4,
  };
  std::unique_ptr<CpuBackend> backend_;
  ReferenceBackend reference_;
  RandomTensors random_{42};
};

TEST_P(CpuBackendTest, EmbedWidensTheRowsAsked) {
  const View embedding = random_.bf16({50, 33}, 1);
  const View tokens = random_.indices(std::vector{0, 49, 7, 7});
  const auto x = random_.make(DType::kF32, {4, 33});
  const auto expected = random_.make(DType::kF64, {4, 33});
  backend_->embed(tokens, embedding, x);
  reference_.embed(tokens, embedding, expected);
  EXPECT_EQ(relative_error(x, expected), 0);
}

TEST_P(CpuBackendTest, RmsNormMatches) {
  for (const std::int64_t size : {1, 2, 15, 16, 17, 32, 33, 288, 2880}) {
    for (const std::int64_t tokens : {1, 7, 64}) {
      const auto [x64, x32] = random_.activations({tokens, size}, 3);
      const View scale = random_.bf16({size}, 1);
      const auto y = random_.make(DType::kF32, {tokens, size});
      const auto expected = random_.make(DType::kF64, {tokens, size});
      backend_->rms_norm(x32, scale, 1e-5, y);
      reference_.rms_norm(x64, scale, 1e-5, expected);
      EXPECT_LE(relative_error(y, expected), kElementTolerance) << size << " x " << tokens;
    }
  }
}

TEST_P(CpuBackendTest, LinearMatchesForEveryTileEdge) {
  for (const std::int64_t in : {1, 15, 16, 17, 64, 130, 320}) {
    for (const std::int64_t out : {1, 2, 5, 6, 7, 47, 48, 49, 100}) {
      for (const std::int64_t tokens : {1, 2, 3, 4, 5, 31, 32, 33}) {
        const Linear layer = random_.linear(out, in);
        const auto [x64, x32] = random_.activations({tokens, in}, 1);
        const auto y = random_.make(DType::kF32, {tokens, out});
        const auto expected = random_.make(DType::kF64, {tokens, out});
        backend_->linear(x32, layer, y);
        reference_.linear(x64, layer, expected);
        ASSERT_LE(relative_error(y, expected), kProductTolerance)
            << in << " -> " << out << ", " << tokens << " tokens";
      }
    }
  }
}

TEST_P(CpuBackendTest, LinearAddEqualsLinearThenAdd) {
  const Linear layer = random_.linear(101, 96);
  const auto [y64, y32] = random_.activations({5, 96}, 1);
  const auto [x64, x32] = random_.activations({5, 101}, 1);
  const auto scratch = random_.make(DType::kF64, {5, 101});
  backend_->linear_add(y32, layer, random_.make(DType::kF32, {5, 101}), x32);
  reference_.linear_add(y64, layer, scratch, x64);
  EXPECT_LE(relative_error(x32, x64), kProductTolerance);
}

TEST_P(CpuBackendTest, ExpertLinearMatchesForEveryTileEdge) {
  for (const std::int64_t in : {32, 64, 320}) {
    for (const std::int64_t out : {1, 3, 4, 5, 48, 53}) {
      for (const std::int64_t tokens : {1, 2, 9, 40}) {
        const ExpertLinear layer = random_.experts(5, out, in);
        const auto ids = random_.make(DType::kI32, {tokens * 4});
        for (std::int64_t i = 0; i < tokens * 4; ++i) {
          ids.as<std::int32_t>()[i] = static_cast<std::int32_t>(random_.random()() % 5);
        }
        for (const std::int64_t x_rows : {tokens, tokens * 4}) {
          const auto [x64, x32] = random_.activations({x_rows, in}, 1);
          const auto y = random_.make(DType::kF32, {tokens * 4, out});
          const auto expected = random_.make(DType::kF64, {tokens * 4, out});
          backend_->expert_linear(x32, ids, layer, y);
          reference_.expert_linear(x64, ids, layer, expected);
          ASSERT_LE(relative_error(y, expected), kProductTolerance)
              << in << " -> " << out << ", " << tokens << " tokens, " << x_rows << " rows";
        }
      }
    }
  }
}

TEST_P(CpuBackendTest, ExpertLinearTakesEveryCodeAndScale) {
  // One row holds every code under one scale; each expert has another scale, from 2^-127 up.
  const auto blocks = random_.make(DType::kU8, {255, 1, 1, 16});
  const auto scales = random_.make(DType::kU8, {255, 1, 1});
  for (int e = 0; e < 255; ++e) {
    for (int k = 0; k < 16; ++k) {
      blocks.as<std::uint8_t>()[e * 16 + k] = static_cast<std::uint8_t>(k | ((15 - k) << 4));
    }
    scales.as<std::uint8_t>()[e] = static_cast<std::uint8_t>(e);
  }
  const ExpertLinear layer{{blocks, scales}, {}};
  StepLimits limits = limits_;
  limits.num_experts = 255;
  ASSERT_TRUE(backend_->reserve(limits).ok());
  for (std::int32_t e = 2; e < 240; ++e) {
    const View ids = random_.indices({&e, 1});
    for (std::int64_t value = 0; value < 32; ++value) {
      const auto x64 = random_.make(DType::kF64, {1, 32});
      const auto x32 = random_.make(DType::kF32, {1, 32});
      x64.as<double>()[value] = 1;
      x32.as<float>()[value] = 1;
      const auto y = random_.make(DType::kF32, {1, 1});
      const auto expected = random_.make(DType::kF64, {1, 1});
      backend_->expert_linear(x32, ids, layer, y);
      reference_.expert_linear(x64, ids, layer, expected);
      ASSERT_EQ(y.as<float>()[0], static_cast<float>(expected.as<double>()[0]))
          << e << ", " << value;
    }
  }
}

TEST_P(CpuBackendTest, RopeMatchesAtFarPositions) {
  std::vector<double> frequencies(32);
  for (std::size_t i = 0; i < 32; ++i)
    frequencies[i] = std::pow(150000.0, -static_cast<double>(i) / 32);
  const Rope rope{frequencies, 1.3465735902799727};
  const View positions = random_.indices(std::vector{0, 1, 127, 4096, 131071});
  const auto table32 = random_.make(DType::kF32, {5, 64});
  const auto table64 = random_.make(DType::kF64, {5, 64});
  backend_->rope_table(positions, rope, table32);
  reference_.rope_table(positions, rope, table64);
  EXPECT_LE(relative_error(table32, table64), kElementTolerance);
  const auto [x64, x32] = random_.activations({5, 8, 64}, 1);
  backend_->rotate(table32, x32);
  reference_.rotate(table64, x64);
  EXPECT_LE(relative_error(x32, x64), kElementTolerance);
}

TEST_P(CpuBackendTest, RouteKeepsTheBestAndBreaksTiesLow) {
  const auto logits32 = random_.make(DType::kF32, {3, 6});
  const auto logits64 = random_.make(DType::kF64, {3, 6});
  const std::vector<float> values = {1, 2, 3, 3, 2, 1, 0, 0, 0, 0, 0, 0, -5, 9, -5, 9, 9, -5};
  for (std::size_t i = 0; i < values.size(); ++i) {
    logits32.as<float>()[i] = values[i];
    logits64.as<double>()[i] = static_cast<double>(values[i]);
  }
  const auto ids = random_.make(DType::kI32, {12});
  const auto expected_ids = random_.make(DType::kI32, {12});
  const auto weights = random_.make(DType::kF32, {3, 4});
  const auto expected = random_.make(DType::kF64, {3, 4});
  backend_->route(logits32, ids, weights);
  reference_.route(logits64, expected_ids, expected);
  EXPECT_THAT(host_indices(ids), ElementsAre(2, 3, 1, 4, 0, 1, 2, 3, 1, 3, 4, 0));
  EXPECT_THAT(host_indices(expected_ids), ElementsAreArray(host_indices(ids)));
  EXPECT_LE(relative_error(weights, expected), kElementTolerance);
}

TEST_P(CpuBackendTest, SwigluClampsAndStaysFinite) {
  for (const std::int64_t size : {1, 7, 16, 33, 160}) {
    const auto [x64, x32] = random_.activations({5, 2 * size}, 8);
    x32.as<float>()[0] = -3000;
    x64.as<double>()[0] = -3000;
    const auto y = random_.make(DType::kF32, {5, size});
    const auto expected = random_.make(DType::kF64, {5, size});
    backend_->swiglu(x32, 7.0, y);
    reference_.swiglu(x64, 7.0, expected);
    EXPECT_LE(relative_error(y, expected), kElementTolerance) << size;
  }
}

TEST_P(CpuBackendTest, CombineAndGatherMatch) {
  const auto [y64, y32] = random_.activations({12, 97}, 1);
  const auto [w64, w32] = random_.activations({3, 4}, 1);
  const auto [x64, x32] = random_.activations({3, 97}, 1);
  backend_->combine_experts(y32, w32, x32);
  reference_.combine_experts(y64, w64, x64);
  EXPECT_LE(relative_error(x32, x64), kElementTolerance);
  const View rows = random_.indices(std::vector{2, 0});
  const auto out32 = random_.make(DType::kF32, {2, 97});
  const auto out64 = random_.make(DType::kF64, {2, 97});
  backend_->gather_rows(x32, rows, out32);
  reference_.gather_rows(x64, rows, out64);
  EXPECT_LE(relative_error(out32, out64), kElementTolerance);
}

/// Sequences of a ragged attention test: (new tokens, context length).
using Ragged = std::vector<std::pair<int, int>>;

struct AttentionCase {
  int heads;
  int kv_heads;
  int head_dim;
  int window;
  Ragged sequences;
};

class CpuAttention {
 public:
  CpuAttention(
      const AttentionCase& test,
      DType kv_dtype,
      RandomTensors& random,
      CpuBackend& cpu,
      ReferenceBackend& ref
  )
      : test_(test), kv_dtype_(kv_dtype), random_(random) {
    lay_out_blocks();
    fill_cache(cpu, ref);
  }

  double error(CpuBackend& cpu, ReferenceBackend& ref) {
    const auto num_tokens = static_cast<std::int64_t>(cu_seqlens_.back());
    const tensor::Shape shape{num_tokens, test_.heads, test_.head_dim};
    const auto [q64, q32] = random_.activations(shape, 2);
    const View sinks = random_.bf16({test_.heads}, 2);
    const auto out32 = random_.make(DType::kF32, shape);
    const auto out64 = random_.make(DType::kF64, shape);
    const Step step = cpu.begin_step(inputs());
    cpu.attention({q32, sinks, kv_, &step.full, test_.window, out32});
    ref.attention({q64, sinks, kv64_, &step.full, test_.window, out64});
    return relative_error(out32, out64);
  }

 private:
  void lay_out_blocks() {
    BlockId num_blocks = 0;
    for (const auto& [count, context] : test_.sequences) {
      cu_seqlens_.push_back(cu_seqlens_.back() + count);
      context_lens_.push_back(context);
      num_blocks += (context + kBlockSize - 1) / kBlockSize;
      table_starts_.push_back(num_blocks);
    }
    // Any order of blocks must do.
    table_.resize(static_cast<std::size_t>(num_blocks));
    std::iota(table_.begin(), table_.end(), 0);
    std::shuffle(table_.begin(), table_.end(), random_.random());
  }

  StepInputs inputs() const {
    return {
        .cu_seqlens_q = cu_seqlens_,
        .context_lens = context_lens_,
        .full = {.block_table = table_, .block_table_starts = table_starts_}};
  }

  void fill_cache(CpuBackend& cpu, ReferenceBackend& ref) {
    const auto num_blocks = static_cast<std::int64_t>(table_.size());
    const tensor::Shape shape{num_blocks, test_.kv_heads, kBlockSize, test_.head_dim};
    kv_ = {random_.make(kv_dtype_, shape), random_.make(kv_dtype_, shape)};
    kv64_ = {random_.make(DType::kF64, shape), random_.make(DType::kF64, shape)};
    // What no query may see must not matter, whatever is there.
    for (const MutableView view : {kv_.keys, kv_.values}) {
      std::fill_n(view.data(), view.size_bytes(), std::byte{0xFF});  // a NaN
    }
    for (std::size_t s = 0; s < context_lens_.size(); ++s) {
      std::vector<std::int32_t> positions;
      for (int position = 0; position < context_lens_[s]; ++position) {
        const int entry = table_starts_[s] + position / kBlockSize;
        const BlockId block = table_[static_cast<std::size_t>(entry)];
        positions.push_back(block * kBlockSize + position % kBlockSize);
      }
      const View slots = random_.indices(positions);
      const tensor::Shape kv{context_lens_[s], test_.kv_heads, test_.head_dim};
      const auto [k64, k32] = keys_or_values(kv);
      const auto [v64, v32] = keys_or_values(kv);
      cpu.store_kv(k32, v32, slots, kv_);
      ref.store_kv(k64, v64, slots, kv64_);
    }
  }

  /// Random numbers that the cache holds without rounding, as doubles and floats.
  std::pair<View, View> keys_or_values(const tensor::Shape& shape) {
    constexpr float kSteps = 256;
    const auto [x64, x32] = random_.activations(shape, 1);
    if (kv_dtype_ == DType::kF32) return {x64, x32};
    for (std::int64_t i = 0; i < shape.num_elements(); ++i) {
      x32.as<float>()[i] = std::round(x32.as<float>()[i] * kSteps) / kSteps;
      x64.as<double>()[i] = x32.as<float>()[i];
    }
    return {x64, x32};
  }

  AttentionCase test_;
  DType kv_dtype_;
  RandomTensors& random_;
  std::vector<std::int32_t> cu_seqlens_{0};
  std::vector<std::int32_t> context_lens_;
  std::vector<BlockId> table_;
  std::vector<std::int32_t> table_starts_{0};
  KvLayer kv_;
  KvLayer kv64_;
};

TEST_P(CpuBackendTest, AttentionMatchesOverShapesWindowsAndRaggedBatches) {
  const Ragged ragged = {{1, 1}, {1, 17}, {5, 5}, {16, 33}, {3, 300}, {1, 512}, {20, 20}};
  const std::vector<AttentionCase> cases = {
      {16, 2, 64, 0, ragged},
      {16, 2, 64, 128, ragged},
      {16, 2, 64, 1, ragged},
      {16, 2, 64, 15, ragged},
      {2, 2, 64, 16, ragged},
      {6, 2, 32, 17, ragged},
      {16, 2, 128, 32, ragged},
      {10, 2, 40, 0, ragged},
      {3, 1, 2, 7, ragged},
  };
  for (const AttentionCase& test : cases) {
    StepLimits limits = limits_;
    limits.num_attention_heads = test.heads;
    limits.num_key_value_heads = test.kv_heads;
    limits.head_dim = test.head_dim;
    ASSERT_TRUE(backend_->reserve(limits).ok());
    for (const DType kv_dtype : {DType::kF32, DType::kF16}) {
      CpuAttention attention(test, kv_dtype, random_, *backend_, reference_);
      EXPECT_LE(attention.error(*backend_, reference_), kProductTolerance)
          << test.heads << " heads of " << test.head_dim << ", window " << test.window << ", "
          << name_of(kv_dtype);
    }
  }
}

TEST_P(CpuBackendTest, KeysAndValuesAreRoundedToHalves) {
  // Exact ones, one between two halves, and what no half can hold.
  const std::vector<float> numbers = {
      1.0F, -0.375F, 65504.0F, 0.0F, 1.0F + 0x1.8p-11F, 1e6F, -1e6F};
  const std::vector<std::uint16_t> expected = {0x3C00, 0xB600, 0x7BFF, 0, 0x3C01, 0x7BFF, 0xFBFF};
  const auto size = static_cast<std::int64_t>(numbers.size());
  const auto x = random_.make(DType::kF32, {1, 1, size});
  std::copy(numbers.begin(), numbers.end(), x.as<float>());
  const tensor::Shape shape{2, 1, kBlockSize, size};
  const KvLayer kv = {random_.make(DType::kF16, shape), random_.make(DType::kF16, shape)};
  constexpr std::int32_t kSlot = kBlockSize + 3;
  const std::vector<std::int32_t> slots = {kSlot};
  backend_->store_kv(x, x, random_.indices(slots), kv);
  for (std::int64_t i = 0; i < size; ++i) {
    const auto* keys = kv.keys.as<tensor::Float16>() + (size + i) * kBlockSize + 3;
    const auto* values = kv.values.as<tensor::Float16>() + kSlot * size + i;
    EXPECT_NEAR(keys->bits, expected[static_cast<std::size_t>(i)], i == 4 ? 1 : 0);
    EXPECT_EQ(values->bits, keys->bits);
  }
}

/// A layer's experts over random weights.
struct MoeLayer {
  MoeLayer(RandomTensors& random, std::int64_t hidden, std::int64_t intermediate)
      : norm(random.bf16({hidden}, 1)),
        router(random.linear(16, hidden)),
        gate_up(random.experts(16, 2 * intermediate, hidden)),
        down(random.experts(16, hidden, intermediate)) {}

  /// With 4 experts a token, and scratch of the dtype.
  MoeArgs args(RandomTensors& random, DType dtype, MutableView x) const {
    const std::int64_t tokens = x.shape()[0];
    const std::int64_t intermediate = gate_up.weight.rows() / 2;
    return {
        .x = x,
        .norm = norm,
        .rms_norm_eps = 1e-5,
        .router = router,
        .gate_up = gate_up,
        .down = down,
        .swiglu_limit = 7,
        .normed = random.make(dtype, x.shape()),
        .router_logits = random.make(dtype, {tokens, 16}),
        .expert_ids = random.make(DType::kI32, {tokens * 4}),
        .expert_weights = random.make(dtype, {tokens, 4}),
        .gate_up_out = random.make(dtype, {tokens * 4, 2 * intermediate}),
        .hidden = random.make(dtype, {tokens * 4, intermediate}),
        .down_out = random.make(dtype, {tokens * 4, x.shape()[1]})};
  }

  View norm;
  Linear router;
  ExpertLinear gate_up;
  ExpertLinear down;
};

TEST_P(CpuBackendTest, MoeMatchesTheReferenceComposition) {
  const MoeLayer layer(random_, 320, 96);
  for (const std::int64_t tokens : {1, 9, 64}) {
    const auto [x64, x32] = random_.activations({tokens, 320}, 1);
    const MutableView composed = random_.make(DType::kF32, x32.shape());
    std::copy_n(x32.data(), x32.size_bytes(), composed.data());
    backend_->moe(layer.args(random_, DType::kF32, x32));
    reference_.moe(layer.args(random_, DType::kF64, x64));
    EXPECT_LE(relative_error(x32, x64), kProductTolerance * 4) << tokens;
    // The override may not change a bit.
    backend_->Backend::moe(layer.args(random_, DType::kF32, composed));
    EXPECT_EQ(relative_error(x32, composed), 0) << tokens;
  }
}

INSTANTIATE_TEST_SUITE_P(
    InstructionSets,
    CpuBackendTest,
    testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
    [](const auto& test) { return std::string(hwy::TargetName(test.param)); }
);

}  // namespace
}  // namespace gossamer::kernels::cpu
