#include "checkpoint/model_summary.h"

#include <gtest/gtest.h>

#include "checkpoint/synthetic_spec.h"
#include "checkpoint/weight_schema.h"

namespace gossamer::checkpoint {
namespace {

// The parameter counts that the shapes of the released models imply.
TEST(ModelSummaryTest, The20bHasItsParameters) {
  const ModelSummary summary = summarize(config_20b());
  EXPECT_EQ(summary.total.parameters, 20'914'757'184U);
  EXPECT_NEAR(static_cast<double>(summary.active_parameters) / 1e9, 3.61, 0.005);
  EXPECT_NEAR(static_cast<double>(summary.total.bytes) / 1e9, 13.76, 0.005);
}

TEST(ModelSummaryTest, The120bHasItsParameters) {
  const ModelSummary summary = summarize(config_120b());
  EXPECT_EQ(summary.total.parameters, 116'829'156'672U);
  EXPECT_NEAR(static_cast<double>(summary.active_parameters) / 1e9, 5.13, 0.005);
  EXPECT_NEAR(static_cast<double>(summary.total.bytes) / 1e9, 65.25, 0.005);
}

TEST(ModelSummaryTest, ThePartsMakeUpTheWhole) {
  const ModelSummary summary = summarize(config_20b());
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
  for (const PartSize& part :
       {summary.embedding,
        summary.attention,
        summary.router,
        summary.experts,
        summary.unembedding}) {
    parameters += part.parameters;
    bytes += part.bytes;
  }
  EXPECT_EQ(parameters, summary.total.parameters);
  EXPECT_EQ(bytes, summary.total.bytes);
  EXPECT_EQ(bytes, payload_bytes(config_20b()));
}

TEST(ModelSummaryTest, OnlyFullLayersKeepATokenBeyondTheWindow) {
  model::Config config = config_20b();
  // 24 layers of 8 heads of 64, keys and values, two bytes each.
  EXPECT_EQ(summarize(config).kv_bytes_per_token, 24U * 8 * 64 * 2 * 2);
  EXPECT_EQ(summarize(config).kv_bytes_per_token_beyond_window, 12U * 8 * 64 * 2 * 2);
  config.layer_types.assign(24, model::LayerType::kFull);
  EXPECT_EQ(summarize(config).kv_bytes_per_token_beyond_window, 24U * 8 * 64 * 2 * 2);
}

TEST(ModelSummaryTest, ATiedModelCountsItsEmbeddingOnceAndAsActive) {
  model::Config config = config_20b();
  const ModelSummary untied = summarize(config);
  config.tie_word_embeddings = true;
  const ModelSummary tied = summarize(config);
  EXPECT_EQ(tied.total.parameters, untied.total.parameters - 201088ULL * 2880);
  EXPECT_EQ(tied.active_parameters, untied.active_parameters);
}

}  // namespace
}  // namespace gossamer::checkpoint
