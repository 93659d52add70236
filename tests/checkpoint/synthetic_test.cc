#include "checkpoint/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/weight_schema.h"
#include "tensor/mxfp4.h"

namespace gossamer::checkpoint {
namespace {

using testing::HasSubstr;

constexpr const char* kSmall =
    "layers=2,experts=4,hidden=192,intermediate=160,heads=4,kv_heads=2,head_dim=32,vocab=512";

SyntheticSpec spec_of(const std::string& text) {
  auto spec = parse_synthetic_spec(text);
  if (!spec.ok()) throw std::runtime_error(spec.error().message);
  return std::move(*spec);
}

SyntheticModel make(const std::string& text, int num_threads) {
  ThreadPool pool(num_threads);
  auto model = make_synthetic_model(spec_of(text), pool, "model");
  if (!model.ok()) throw std::runtime_error(model.error().message);
  return std::move(*model);
}

bool same_weights(const SyntheticModel& a, const SyntheticModel& b) {
  return a.buffer->size_bytes() == b.buffer->size_bytes() &&
         std::memcmp(a.buffer->data(), b.buffer->data(), a.buffer->size_bytes()) == 0;
}

struct Moments {
  double mean;
  double deviation;
};

Moments moments_of(const std::vector<double>& values) {
  double sum = 0;
  double squares = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
  }
  const auto count = static_cast<double>(values.size());
  return {sum / count, std::sqrt(squares / count - sum / count * sum / count)};
}

std::vector<double> bf16_values(const tensor::View& view) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < view.shape().num_elements(); ++i) {
    values.push_back(view.as<tensor::BFloat16>()[i].to_float());
  }
  return values;
}

std::vector<double> mxfp4_values(const tensor::Mxfp4View& view) {
  std::vector<double> values;
  for (std::int64_t block = 0; block < view.scales.shape().num_elements(); ++block) {
    std::array<double, tensor::kMxfp4BlockValues> decoded{};
    tensor::decode_mxfp4_block(
        std::span<const std::uint8_t, tensor::kMxfp4BlockBytes>(
            view.blocks.as<std::uint8_t>() + block * tensor::kMxfp4BlockBytes,
            tensor::kMxfp4BlockBytes
        ),
        view.scales.as<std::uint8_t>()[block],
        decoded
    );
    values.insert(values.end(), decoded.begin(), decoded.end());
  }
  return values;
}

TEST(SyntheticSpecTest, PresetsAreTheReleasedModels) {
  EXPECT_EQ(spec_of("20b").config, config_20b());
  EXPECT_EQ(spec_of("120b").config, config_120b());
}

TEST(SyntheticSpecTest, ChangesApplyToThePresetBeforeThem) {
  const SyntheticSpec spec = spec_of("120b,layers=3,num_experts=8,rope_factor=2,seed=9");
  EXPECT_EQ(spec.config.num_hidden_layers, 3);
  EXPECT_EQ(spec.config.layer_types.size(), 3U);
  EXPECT_EQ(spec.config.num_experts, 8);
  EXPECT_EQ(spec.config.hidden_size, 2880);
  EXPECT_EQ(spec.config.max_context_length, 8192);
  EXPECT_EQ(spec.seed, 9U);
  EXPECT_EQ(spec_of("layers=3").config, spec_of("20b,layers=3").config);
}

TEST(SyntheticSpecTest, AnUnknownKeyListsTheKeys) {
  const auto spec = parse_synthetic_spec("20b,layer=2");
  ASSERT_FALSE(spec.ok());
  EXPECT_THAT(spec.error().message, HasSubstr("unknown key 'layer'"));
  EXPECT_THAT(spec.error().message, HasSubstr("num_hidden_layers (layers)"));
  EXPECT_THAT(spec.error().message, HasSubstr("seed"));
}

class BadSpecTest : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(BadSpecTest, IsRefused) {
  const auto [text, expected] = GetParam();
  const auto checkpoint = Checkpoint::open(std::string("synthetic:") + text);
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(checkpoint.error().message, HasSubstr(expected));
}

INSTANTIATE_TEST_SUITE_P(
    Specs,
    BadSpecTest,
    testing::Values(
        std::pair("", "cannot read ''"),
        std::pair("70b", "cannot read '70b'"),
        std::pair("layers=2,20b", "cannot read '20b'"),
        std::pair("layers=", "layers= is not an integer"),
        std::pair("layers=2x", "layers=2x is not an integer"),
        std::pair("layers=1e3", "layers=1e3 is not an integer"),
        std::pair("layers=99999999999", "is not an integer in range"),
        std::pair("layers=0", "num_hidden_layers is 0"),
        std::pair("seed=-1", "seed=-1 is not an integer"),
        std::pair("rope_factor=nan", "rope_scaling_factor is nan"),
        std::pair("rope_theta=inf", "rope_theta is inf"),
        std::pair("hidden=100", "hidden_size is 100, expected a multiple of 32"),
        std::pair("experts=2", "experts_per_token is 4, more than num_experts, 2")
    )
);

TEST(SyntheticTest, TheSeedDecidesEveryWeightAndThreadsDoNot) {
  const SyntheticModel one_thread = make(kSmall, 1);
  EXPECT_TRUE(same_weights(one_thread, make(kSmall, 3)));
  EXPECT_FALSE(same_weights(one_thread, make(std::string(kSmall) + ",seed=1", 1)));
}

TEST(SyntheticTest, AnyPieceOfATensorIsTheSameAsInTheWhole) {
  const SyntheticSpec spec = spec_of(kSmall);
  for (const WeightSpec& tensor : weight_schema(spec.config)) {
    const WeightGenerator generator(tensor, spec.config, spec.seed);
    std::vector<std::byte> whole(tensor.size_bytes());
    generator.generate(0, whole);
    const std::size_t begin = whole.size() / 2 / 8 * 8;
    std::vector<std::byte> piece(whole.size() - begin);
    generator.generate(begin, piece);
    EXPECT_EQ(std::memcmp(piece.data(), whole.data() + begin, piece.size()), 0);
  }
}

TEST(SyntheticTest, WeightsHaveTheScaleThatKeepsActivationsNearOne) {
  const SyntheticModel model = make(kSmall, 2);
  const model::LayerWeights& layer = model.weights.layers[1];
  const auto expect_spread = [](const std::vector<double>& values, double mean, double deviation) {
    const Moments moments = moments_of(values);
    // Five standard errors, and the rounding of a value near 1 to bf16.
    const double error = 5 / std::sqrt(static_cast<double>(values.size()));
    EXPECT_NEAR(moments.mean, mean, deviation * error + 1e-3);
    EXPECT_NEAR(moments.deviation / deviation, 1, error / std::sqrt(2.0) + 0.03);
  };
  expect_spread(bf16_values(model.weights.embedding), 0, 1);
  expect_spread(bf16_values(layer.q.weight), 0, 1 / std::sqrt(192.0));
  expect_spread(bf16_values(layer.attn_out.weight), 0, 0.5 / std::sqrt(128.0));
  expect_spread(bf16_values(layer.attn_norm), 1, 0.1);
  expect_spread(bf16_values(model.weights.unembedding), 0, 2.5 / std::sqrt(192.0));
  expect_spread(mxfp4_values(layer.gate_up.weight), 0, 1 / std::sqrt(192.0));
  expect_spread(mxfp4_values(layer.down.weight), 0, 0.5 / std::sqrt(160.0));
}

TEST(SyntheticTest, NoTwoTensorsAreAlike) {
  const SyntheticModel model = make(kSmall, 2);
  const auto& layers = model.weights.layers;
  const auto start_of = [](const tensor::View& view) {
    return std::string(reinterpret_cast<const char*>(view.data()), 64);  // NOLINT
  };
  EXPECT_NE(start_of(layers[0].q.weight), start_of(layers[1].q.weight));
  EXPECT_NE(start_of(layers[0].k.weight), start_of(layers[0].v.weight));
  EXPECT_NE(start_of(layers[0].gate_up.weight.blocks), start_of(layers[0].down.weight.blocks));
  EXPECT_NE(start_of(model.weights.embedding), start_of(model.weights.unembedding));
}

TEST(SyntheticTest, IsACheckpointThatPassesItsOwnScaleCheck) {
  const auto checkpoint = Checkpoint::open(std::string("synthetic:") + kSmall);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->layout(), Layout::kSynthetic);
  EXPECT_EQ(checkpoint->config(), spec_of(kSmall).config);
  EXPECT_FALSE(checkpoint->tokenizer_json().has_value());
  ThreadPool pool(2);
  EXPECT_TRUE(checkpoint->verify_scales(pool).ok());
}

TEST(SyntheticTest, AModelLargerThanTheMemoryIsRefusedAtOnce) {
  const auto checkpoint = Checkpoint::open("synthetic:120b,layers=9999");
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(checkpoint.error().message, HasSubstr("synthetic:120b,layers=9999 needs 17."));
  EXPECT_THAT(checkpoint.error().message, HasSubstr("available"));
}

}  // namespace
}  // namespace gossamer::checkpoint
