#include "checkpoint/config_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "checkpoint/synthetic_spec.h"

namespace gossamer::checkpoint {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// The sizes that every config.json states, so that a test can add what it is about.
constexpr const char* kSizes = R"("num_hidden_layers": 2, "vocab_size": 64, "hidden_size": 32,
    "intermediate_size": 32, "head_dim": 16, "num_attention_heads": 4, "num_key_value_heads": 2,
    "sliding_window": 8, "experts_per_token": 1)";

ParsedConfig parse(const std::string& rest) {
  auto parsed = parse_config(fmt::format("{{{}, {}}}", kSizes, rest), "config.json");
  if (!parsed.ok()) throw std::runtime_error(parsed.error().message);
  return std::move(*parsed);
}

/// A Hugging Face config with a RoPE block.
ParsedConfig parse_rope(const std::string& key, const std::string& block) {
  return parse(fmt::format(
      R"("model_type": "gpt_oss", "num_local_experts": 4, "rope_theta": 10000,
         "max_position_embeddings": 2048, "{}": {})",
      key,
      block
  ));
}

TEST(ConfigJsonTest, ReadsTheOriginalKeys) {
  const auto [config, warnings] = parse(R"("num_experts": 4, "initial_context_length": 1024,
      "rope_theta": 5000.0, "rope_scaling_factor": 2.0, "rope_ntk_alpha": 2.0,
      "rope_ntk_beta": 16.0, "swiglu_limit": 5.0)");
  EXPECT_EQ(config.num_experts, 4);
  EXPECT_EQ(config.max_context_length, 2048);
  EXPECT_EQ(config.rope_theta, 5000);
  EXPECT_EQ(config.rope_ntk_alpha, 2);
  EXPECT_EQ(config.rope_ntk_beta, 16);
  EXPECT_EQ(config.swiglu_limit, 5);
  EXPECT_FALSE(config.rope_truncate);
  EXPECT_THAT(config.layer_types, ElementsAre(model::LayerType::kSliding, model::LayerType::kFull));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST(ConfigJsonTest, ReadsYarnUnderItsOldAndItsNewName) {
  const std::string yarn = R"({"rope_type": "yarn", "factor": 8.0, "beta_fast": 30.0,
      "beta_slow": 2.0, "original_max_position_embeddings": 256, "truncate": false)";
  const model::Config old_name = parse_rope("rope_scaling", yarn + "}").config;
  EXPECT_EQ(old_name.rope_scaling_factor, 8);
  EXPECT_EQ(old_name.rope_ntk_beta, 30);
  EXPECT_EQ(old_name.rope_ntk_alpha, 2);
  EXPECT_EQ(old_name.initial_context_length, 256);
  EXPECT_EQ(old_name.max_context_length, 2048);
  EXPECT_FALSE(old_name.rope_truncate);
  const model::Config new_name =
      parse_rope("rope_parameters", yarn + R"(, "rope_theta": 10000})").config;
  EXPECT_EQ(new_name, old_name);
}

TEST(ConfigJsonTest, TheThetaInsideRopeParametersCounts) {
  const auto parsed =
      parse_rope("rope_parameters", R"({"rope_type": "default", "rope_theta": 777})");
  EXPECT_EQ(parsed.config.rope_theta, 777);
  EXPECT_EQ(parsed.config.rope_scaling_factor, 1);
}

TEST(ConfigJsonTest, NoRopeScalingMeansPlainRope) {
  EXPECT_EQ(parse_rope("rope_scaling", "null").config.rope_scaling_factor, 1);
}

TEST(ConfigJsonTest, YarnTruncatesUnlessTold) {
  EXPECT_TRUE(
      parse_rope("rope_scaling", R"({"rope_type": "yarn", "factor": 2})").config.rope_truncate
  );
}

TEST(ConfigJsonTest, ReadsEndTokensAlone_AndInAList) {
  EXPECT_THAT(
      parse_rope("eos_token_id", "[3, 5]").config.eos_token_ids, ElementsAre(TokenId{3}, TokenId{5})
  );
  EXPECT_THAT(parse_rope("eos_token_id", "7").config.eos_token_ids, ElementsAre(TokenId{7}));
}

TEST(ConfigJsonTest, AnEndTokenOutsideTheVocabularyIsAWarning) {
  const auto [config, warnings] = parse_rope("eos_token_id", "[3, 200002]");
  EXPECT_THAT(config.eos_token_ids, ElementsAre(TokenId{3}));
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("eos_token_id 200002 is outside the vocabulary")));
}

TEST(ConfigJsonTest, AnUnknownKeyIsAWarningThatNamesIt) {
  EXPECT_THAT(
      parse_rope("rotary_dim", "32").warnings, ElementsAre("config.json: unknown key 'rotary_dim'")
  );
  EXPECT_THAT(
      parse_rope("rope_scaling", R"({"rope_type": "default", "twist": 1})").warnings,
      ElementsAre("config.json: unknown key 'rope_scaling.twist'")
  );
}

TEST(ConfigJsonTest, AMissingSizeIsAWarningThatStatesTheDefault) {
  const auto parsed = parse_config(R"({"num_hidden_layers": 24, "num_experts": 32})", "c");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->config.hidden_size, 2880);
  EXPECT_THAT(parsed->warnings, SizeIs(8));
  EXPECT_THAT(parsed->warnings, Contains("c: no hidden_size; taking the 120b's, 2880"));
}

TEST(ConfigJsonTest, AnIntegralFloatIsAnInteger) {
  EXPECT_EQ(parse_rope("num_experts_per_tok", "1.0").config.experts_per_token, 1);
}

TEST(ConfigJsonTest, WhatIsWrittenReadsBack) {
  model::Config config = config_20b();
  config.eos_token_ids = {200002, 199999};
  config.layer_types[0] = model::LayerType::kFull;
  config.rms_norm_eps = 1e-6;
  const auto hugging_face = parse_config(to_hugging_face_json(config), "config.json");
  ASSERT_TRUE(hugging_face.ok()) << hugging_face.error().message;
  EXPECT_EQ(hugging_face->config, config);
  EXPECT_THAT(hugging_face->warnings, IsEmpty());

  const auto original = parse_config(to_original_json(config_20b()), "config.json");
  ASSERT_TRUE(original.ok()) << original.error().message;
  EXPECT_EQ(original->config, config_20b());
  EXPECT_THAT(original->warnings, IsEmpty());
}

}  // namespace
}  // namespace gossamer::checkpoint
