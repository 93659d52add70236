#include "engine/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "engine/logits.h"
#include "engine/token_choice.h"

namespace gossamer::engine {
namespace {

using testing::ElementsAre;

constexpr int kVocab = 8;
const std::vector<float> kLogits = {0.0F, 1.0F, 2.0F, 3.0F, 2.0F, 1.0F, 0.0F, -1.0F};

SampledToken sample(
    Sampler& sampler, std::span<const float> logits, std::span<const std::uint64_t> allowed = {}
) {
  ChoiceScratch scratch;
  SampledToken chosen = choose_token(logits, sampler.next_row(allowed), scratch);
  sampler.accept(chosen.token);
  return chosen;
}

/// How often each token comes, as a share of `draws`.
std::map<TokenId, double> shares(
    const SamplingParams& params, const std::vector<float>& logits, int draws = 20000
) {
  std::map<TokenId, double> shares;
  for (int i = 0; i < draws; ++i) {
    Sampler sampler(params, static_cast<std::uint64_t>(i));
    shares[sample(sampler, logits).token] += 1.0 / draws;
  }
  return shares;
}

std::set<TokenId> drawn(const SamplingParams& params, const std::vector<float>& logits = kLogits) {
  std::set<TokenId> tokens;
  for (const auto& [token, share] : shares(params, logits, 3000)) tokens.insert(token);
  return tokens;
}

double softmax(const std::vector<float>& logits, std::size_t token, double temperature) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit / temperature);
  return std::exp(logits[token] / temperature) / sum;
}

TEST(SamplerTest, TemperatureZeroTakesTheLikeliestAndTheLowestOfEquals) {
  SamplingParams params;
  params.temperature = 0;
  Sampler sampler(params, 1);
  EXPECT_EQ(sample(sampler, kLogits).token, 3U);
  EXPECT_EQ(sample(sampler, std::vector<float>{1, 5, 5, 5, 0, 0, 0, 0}).token, 1U);
}

TEST(SamplerTest, DrawsInProportionAtEveryTemperature) {
  for (const double temperature : {0.5, 1.0, 2.0}) {
    SamplingParams params;
    params.temperature = temperature;
    for (const auto& [token, share] : shares(params, kLogits)) {
      // Four standard deviations of a share of 20,000 draws.
      EXPECT_NEAR(share, softmax(kLogits, token, temperature), 0.015)
          << token << " at " << temperature;
    }
  }
}

TEST(SamplerTest, TheSameSeedGivesTheSameTokens) {
  SamplingParams params;
  params.seed = 99;
  Sampler first(params, 1);
  Sampler second(params, 2);
  params.seed = 100;
  Sampler other(params, 1);
  int differences = 0;
  for (int i = 0; i < 200; ++i) {
    const TokenId token = sample(first, kLogits).token;
    EXPECT_EQ(token, sample(second, kLogits).token);
    differences += token != sample(other, kLogits).token ? 1 : 0;
  }
  EXPECT_GT(differences, 20);
}

TEST(SamplerTest, TopKKeepsTheKLikeliest) {
  SamplingParams params;
  params.temperature = 5;
  params.top_k = 1;
  EXPECT_THAT(drawn(params), ElementsAre(3));
  params.top_k = 3;
  EXPECT_THAT(drawn(params), ElementsAre(2, 3, 4));
  params.top_k = 2;  // 2 and 4 are equal: the lower stays
  EXPECT_THAT(drawn(params), ElementsAre(2, 3));
  params.top_k = 100;
  EXPECT_EQ(drawn(params).size(), 8U);
}

TEST(SamplerTest, TopPKeepsTheFewestThatReachP) {
  SamplingParams params;
  params.top_p = softmax(kLogits, 3, 1) - 0.01;
  EXPECT_THAT(drawn(params), ElementsAre(3));
  params.top_p = softmax(kLogits, 3, 1) + 0.01;
  EXPECT_THAT(drawn(params), ElementsAre(2, 3));
  params.top_p = 0;
  EXPECT_THAT(drawn(params), ElementsAre(3));
}

TEST(SamplerTest, MinPDropsTheUnlikelyRelativeToTheLikeliest) {
  SamplingParams params;
  params.min_p = std::exp(-1.5);
  EXPECT_THAT(drawn(params), ElementsAre(2, 3, 4));
  params.min_p = 1;
  EXPECT_THAT(drawn(params), ElementsAre(3));
}

TEST(SamplerTest, FrequencyAndPresencePenaltiesCountTheOutput) {
  SamplingParams params;
  params.temperature = 0;
  params.presence_penalty = 1.5;
  Sampler presence(params, 1);
  EXPECT_EQ(sample(presence, kLogits).token, 3U);  // 3 -> 1.5
  EXPECT_EQ(sample(presence, kLogits).token, 2U);  // 2 -> 0.5
  EXPECT_EQ(sample(presence, kLogits).token, 4U);
  EXPECT_EQ(sample(presence, kLogits).token, 3U);  // once only, however often it came
  params.presence_penalty = 0;
  params.frequency_penalty = 0.75;
  Sampler frequency(params, 1);
  std::vector<TokenId> tokens;
  for (int i = 0; i < 5; ++i) tokens.push_back(sample(frequency, kLogits).token);
  EXPECT_THAT(tokens, ElementsAre(3, 3, 2, 4, 3));  // 3; 2.25; 1.5 < 2
}

TEST(SamplerTest, RepetitionPenaltySeesThePromptToo) {
  SamplingParams params;
  params.temperature = 0;
  params.repetition_penalty = 4;
  Sampler sampler(params, 1);
  sampler.observe_prompt(std::vector<TokenId>{3, 2});
  EXPECT_EQ(sample(sampler, kLogits).token, 4U);
  EXPECT_EQ(sample(sampler, kLogits).token, 1U);
}

TEST(SamplerTest, TheNumberFallsOnTokensInOrderOfTheirIds) {
  const std::vector<float> logits = {2.0F, 0.0F, 3.0F, 2.0F};  // of weights e^-1, e^-3, 1, e^-1
  for (const auto& [top_k, top_p, min_p] :
       {std::tuple(3, 1.0, 0.0), std::tuple(0, 0.9, 0.0), std::tuple(0, 1.0, 0.1)}) {
    ChoiceScratch scratch;
    std::vector<TokenId> tokens;
    for (const double number : {0.0, 0.2, 0.22, 0.78, 0.8, 0.999}) {
      const kernels::SampleRow row{
          .top_k = top_k, .top_p = top_p, .min_p = min_p, .number = number};
      tokens.push_back(choose_token(logits, row, scratch).token);
    }
    EXPECT_THAT(tokens, ElementsAre(0, 0, 2, 2, 3, 3)) << top_k << ", " << top_p << ", " << min_p;
  }
}

TEST(SamplerTest, ARowTellsTheHistoryOfEachTokenOnce) {
  SamplingParams params;
  params.repetition_penalty = 2;
  params.logit_bias = {{3, 1.5}, {5, -1.0}};
  Sampler sampler(params, 1);
  sampler.observe_prompt(std::vector<TokenId>{3, 4, 4});
  sampler.accept(4);
  sampler.accept(6);
  sampler.accept(6);
  std::map<TokenId, std::tuple<int, int, float>> told;
  const auto adjustments = sampler.next_row({}).adjustments;
  for (const kernels::LogitAdjustment& a : adjustments) told[a.token] = {a.count, a.seen, a.bias};
  EXPECT_EQ(told.size(), adjustments.size());
  const std::map<TokenId, std::tuple<int, int, float>> expected = {
      {3, {0, 1, 1.5F}}, {4, {1, 1, 0.0F}}, {5, {0, 0, -1.0F}}, {6, {2, 1, 0.0F}}};
  EXPECT_EQ(told, expected);
}

TEST(SamplerTest, WithoutPenaltiesAndBiasThereIsNothingToAdjust) {
  Sampler sampler({}, 1);
  sampler.observe_prompt(std::vector<TokenId>{1, 2});
  sampler.accept(3);
  EXPECT_TRUE(sampler.next_row({}).adjustments.empty());
}

TEST(SamplerTest, LogitBiasRaisesAndForbids) {
  SamplingParams params;
  params.logit_bias = {{7, 100.0}};
  EXPECT_THAT(drawn(params), ElementsAre(7));
  params.logit_bias = {{3, -100.0}, {2, -100.0}, {4, -100.0}};
  params.temperature = 0;
  EXPECT_THAT(drawn(params), ElementsAre(1));
}

TEST(SamplerTest, AMaskedTokenNeverComes) {
  const std::vector<std::uint64_t> odd = {0xAAU};
  SamplingParams params;
  params.temperature = 50;
  std::set<TokenId> tokens;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    Sampler sampler(params, seed);
    tokens.insert(sample(sampler, kLogits, odd).token);
  }
  EXPECT_THAT(tokens, ElementsAre(1, 3, 5, 7));
}

TEST(SamplerTest, LogprobsAreTheModelsOwn) {
  SamplingParams params;
  params.temperature = 0.1;
  params.logit_bias = {{0, 50.0}};
  params.top_logprobs = 3;
  Sampler sampler(params, 1);
  const SampledToken sampled = sample(sampler, kLogits);
  EXPECT_EQ(sampled.token, 0U);
  EXPECT_NEAR(sampled.logprob, std::log(softmax(kLogits, 0, 1)), 1e-9);
  ASSERT_EQ(sampled.top.size(), 3U);
  EXPECT_EQ(sampled.top[0].token, 3U);
  EXPECT_EQ(sampled.top[1].token, 2U);
  EXPECT_EQ(sampled.top[2].token, 4U);
  EXPECT_NEAR(sampled.top[0].logprob, std::log(softmax(kLogits, 3, 1)), 1e-9);
}

TEST(SamplerTest, LogprobsAreOfTheWholeVocabularyThoughAMaskForbidsSome) {
  for (const float forbidden : {-50.0F, 1.0F, 30.0F, 2000.0F}) {
    std::vector<float> logits(300);
    for (std::size_t i = 0; i < logits.size(); ++i)
      logits[i] = static_cast<float>(uniform(1, i)) * 10;
    std::vector<std::uint64_t> allowed(5, ~std::uint64_t{0});
    for (const std::size_t token : {0U, 70U, 299U}) {
      logits[token] = forbidden;
      allowed[token / 64] &= ~(std::uint64_t{1} << token % 64);
    }
    Sampler sampler({}, 3);
    const SampledToken sampled = sample(sampler, logits, allowed);
    EXPECT_NE(logits[sampled.token], forbidden);
    EXPECT_NEAR(sampled.logprob, logits[sampled.token] - log_sum_exp(logits), 1e-9);
  }
}

TEST(SamplerTest, TheReleasedVocabularyIsDrawnWithoutSortingAway) {
  std::vector<float> logits(201088);
  for (std::size_t i = 0; i < logits.size(); ++i)
    logits[i] = static_cast<float>(uniform(1, i)) * 20;
  SamplingParams params;
  params.top_p = 0.9;
  params.top_k = 1000;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Sampler sampler(params, seed);
    EXPECT_GT(logits[sample(sampler, logits).token], 10.0F);
  }
}

TEST(SamplerTest, NanLogitsDoNotCrash) {
  const std::vector<float> logits(kVocab, std::numeric_limits<float>::quiet_NaN());
  Sampler sampler({}, 1);
  EXPECT_LT(sample(sampler, logits).token, static_cast<TokenId>(kVocab));
}

TEST(UniformTest, CoversTheUnitIntervalEvenly) {
  std::vector<int> buckets(10);
  for (std::uint64_t i = 0; i < 100000; ++i) {
    const double number = uniform(5, i);
    ASSERT_GE(number, 0.0);
    ASSERT_LT(number, 1.0);
    ++buckets[static_cast<std::size_t>(number * 10)];
  }
  for (const int count : buckets) EXPECT_NEAR(count, 10000, 500);
}

}  // namespace
}  // namespace gossamer::engine
