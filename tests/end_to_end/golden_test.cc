// Whole models against the stored logits of a dense double-precision pass.

#include "tests/end_to_end/golden.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <memory>
#include <string>
#include <tuple>

#include "engine/engine.h"
#include "tests/end_to_end/model_runs.h"

namespace gossamer::end_to_end {
namespace {

constexpr int kNumPrompts = 5;
constexpr double kReferenceTolerance = 1e-5;
constexpr double kCpuTolerance = 1e-4;
// Halves are off by 2^-12, and random weights route chaotically: here and there an expert is
// flipped.
constexpr double kHalvesTolerance = 5e-2;

/// The same of a checkpoint that the backend reads where it is.
std::vector<float> all_logits(
    const checkpoint::Checkpoint& checkpoint,
    kernels::Backend& backend,
    const std::vector<TokenId>& tokens,
    int chunk
) {
  return end_to_end::all_logits(checkpoint.config(), checkpoint.weights(), backend, tokens, chunk);
}

std::vector<TokenId> greedy(
    const checkpoint::Checkpoint& checkpoint,
    kernels::Backend& backend,
    const std::vector<TokenId>& prompt,
    int count
) {
  auto engine = engine::Engine::create(
      checkpoint.config(),
      checkpoint.weights(),
      backend,
      {.context_length = 512, .max_batch_tokens = 16}
  );
  GOSSAMER_CHECK(engine.ok());
  engine::SamplingParams sampling;
  sampling.temperature = 0;
  const auto id = (*engine)->submit({.prompt = prompt, .sampling = sampling, .max_tokens = count});
  GOSSAMER_CHECK(id.ok());
  std::vector<TokenId> tokens;
  while (!(*engine)->idle()) {
    for (const engine::Output& output : (*engine)->step()) tokens.push_back(output.sampled.token);
  }
  return tokens;
}

class GoldenTest
    : public testing::TestWithParam<std::tuple<std::string, std::string, std::string>> {
 protected:
  std::string model() const { return std::get<0>(GetParam()); }
  std::string directory() const { return model() + "/" + std::get<1>(GetParam()); }
  std::string backend() const { return std::get<2>(GetParam()); }
  double tolerance() const {
    if (backend() == "reference") return kReferenceTolerance;
    return backend() == "cpu" ? kCpuTolerance : kHalvesTolerance;
  }
};

TEST_P(GoldenTest, LogitsMatchTheDoublePrecisionPass) {
  const GoldenFile golden(model());
  const checkpoint::Checkpoint checkpoint = open_golden(directory());
  const auto engine = make_backend(backend(), 2);
  for (int prompt = 0; prompt < kNumPrompts; ++prompt) {
    const std::string key = "prompt" + std::to_string(prompt);
    const auto logits = all_logits(checkpoint, *engine, golden.tokens(key + ".tokens"), 64);
    EXPECT_LE(relative_l2(logits, golden.floats(key + ".logits_f64ref")), tolerance()) << key;
  }
}

TEST_P(GoldenTest, GreedyTokensMatch) {
  const GoldenFile golden(model());
  const checkpoint::Checkpoint checkpoint = open_golden(directory());
  const auto engine = make_backend(backend(), 2);
  const auto expected = golden.tokens("greedy.tokens");
  EXPECT_EQ(
      greedy(
          checkpoint, *engine, golden.tokens("greedy.prompt"), static_cast<int>(expected.size())
      ),
      expected
  );
}

INSTANTIATE_TEST_SUITE_P(
    Models,
    GoldenTest,
    testing::Combine(
        testing::Values("tiny", "small"),
        testing::Values("original", "hf"),
        testing::Values("reference", "cpu", "cpu_f16")
    ),
    [](const auto& test) {
      return std::get<0>(test.param) + "_" + std::get<1>(test.param) + "_" +
             std::get<2>(test.param);
    }
);

TEST(CpuDeterminismTest, ChunkingAndThreadsDoNotChangeABit) {
  for (const std::string model : {"tiny", "small"}) {
    const GoldenFile golden(model);
    const checkpoint::Checkpoint checkpoint = open_golden(model + "/original");
    const auto tokens = golden.tokens("prompt4.tokens");
    const auto one = make_backend("cpu", 1);
    const auto expected = all_logits(checkpoint, *one, tokens, static_cast<int>(tokens.size()));
    for (const int chunk : {1, 3, 16, 17, 64}) {
      for (const int threads : {1, 2, 5}) {
        const auto backend = make_backend("cpu", threads);
        EXPECT_EQ(all_logits(checkpoint, *backend, tokens, chunk), expected)
            << model << ", chunks of " << chunk << ", " << threads << " threads";
      }
    }
  }
}

TEST(CpuDeterminismTest, BatchCompositionDoesNotChangeAToken) {
  const GoldenFile golden("tiny");
  const checkpoint::Checkpoint checkpoint = open_golden("tiny/hf");
  const auto backend = make_backend("cpu", 2);
  auto engine = engine::Engine::create(
      checkpoint.config(),
      checkpoint.weights(),
      *backend,
      {.context_length = 256, .max_sequences = 5, .max_batch_tokens = 24}
  );
  ASSERT_TRUE(engine.ok());
  engine::SamplingParams sampling;
  sampling.seed = 7;
  std::vector<std::vector<engine::SampledToken>> alone;
  std::vector<std::vector<engine::SampledToken>> together(kNumPrompts);
  const auto request = [&](int prompt) {
    return engine::Request{
        .prompt = golden.tokens("prompt" + std::to_string(prompt) + ".tokens"),
        .sampling = sampling,
        .max_tokens = 20};
  };
  for (int prompt = 0; prompt < kNumPrompts; ++prompt) {
    ASSERT_TRUE((*engine)->submit(request(prompt)).ok());
    alone.emplace_back();
    while (!(*engine)->idle()) {
      for (const auto& output : (*engine)->step()) alone.back().push_back(output.sampled);
    }
  }
  std::vector<engine::SequenceId> ids;
  for (int prompt = 0; prompt < kNumPrompts; ++prompt) {
    const auto id = (*engine)->submit(request(prompt));
    ASSERT_TRUE(id.ok());
    ids.push_back(*id);
  }
  while (!(*engine)->idle()) {
    for (const auto& output : (*engine)->step()) {
      together[output.sequence - ids.front()].push_back(output.sampled);
    }
  }
  for (int prompt = 0; prompt < kNumPrompts; ++prompt) {
    const auto index = static_cast<std::size_t>(prompt);
    ASSERT_EQ(alone[index].size(), together[index].size());
    for (std::size_t i = 0; i < alone[index].size(); ++i) {
      EXPECT_EQ(alone[index][i].token, together[index][i].token) << prompt << ", token " << i;
      EXPECT_EQ(alone[index][i].logprob, together[index][i].logprob) << prompt << ", token " << i;
    }
  }
}

TEST(CpuInstructionSetTest, EveryInstructionSetOfThisMachineIsExact) {
  const GoldenFile golden("small");
  const checkpoint::Checkpoint checkpoint = open_golden("small/hf");
  const auto tokens = golden.tokens("prompt4.tokens");
  const auto expected = golden.floats("prompt4.logits_f64ref");
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    const auto backend = make_backend("cpu", 2);
    EXPECT_LE(relative_l2(all_logits(checkpoint, *backend, tokens, 64), expected), kCpuTolerance)
        << backend->description();
    hwy::SetSupportedTargetsForTest(0);
  }
}

}  // namespace
}  // namespace gossamer::end_to_end
