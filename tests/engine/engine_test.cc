#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/scorer.h"
#include "tests/engine/tiny_model.h"

namespace gossamer::engine {
namespace {

using testing::HasSubstr;

class EngineTest : public testing::Test {
 protected:
  std::vector<Output> run() {
    std::vector<Output> outputs;
    while (!engine_->idle()) {
      const auto step = engine_->step();
      outputs.insert(outputs.end(), step.begin(), step.end());
    }
    return outputs;
  }

  std::string error_of(Request request) {
    const auto id = engine_->submit(std::move(request));
    return id.ok() ? "accepted" : id.error().message;
  }

  TinyModel model_;
  std::unique_ptr<Engine> engine_ =
      model_.make({.context_length = 64, .max_sequences = 3, .max_batch_tokens = 8});
};

TEST_F(EngineTest, EndsAtMaxTokensWithLength) {
  ASSERT_TRUE(engine_->submit(greedy({1, 2, 3}, 5)).ok());
  const auto outputs = run();
  ASSERT_EQ(outputs.size(), 5U);
  EXPECT_EQ(outputs[3].finish, std::nullopt);
  EXPECT_EQ(outputs[4].finish, FinishReason::kLength);
}

TEST_F(EngineTest, EndsAtAStopTokenWhichItEmits) {
  ASSERT_TRUE(engine_->submit(greedy({1, 2, 3}, 5)).ok());
  const auto free_run = run();
  Request request = greedy({1, 2, 3}, 5);
  request.stop_tokens = {free_run[1].sampled.token};
  ASSERT_TRUE(engine_->submit(std::move(request)).ok());
  const auto stopped = run();
  ASSERT_EQ(stopped.size(), free_run[0].sampled.token == free_run[1].sampled.token ? 1U : 2U);
  EXPECT_EQ(stopped.back().sampled.token, free_run[1].sampled.token);
  EXPECT_EQ(stopped.back().finish, FinishReason::kStop);
}

TEST_F(EngineTest, FillsTheContextAndStops) {
  Request request = greedy({1, 2, 3}, 1);
  request.max_tokens.reset();
  ASSERT_TRUE(engine_->submit(std::move(request)).ok());
  const auto outputs = run();
  EXPECT_EQ(outputs.size(), 61U);
  EXPECT_EQ(outputs.back().finish, FinishReason::kLength);
}

TEST_F(EngineTest, FreesEveryBlockWhenIdle) {
  const auto all = engine_->free_blocks();
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(engine_->submit(greedy({1, 2, 3}, 4 + i)).ok());
  const auto cancelled = engine_->submit(greedy(std::vector<TokenId>(40, 5), 10));
  ASSERT_TRUE(cancelled.ok());
  engine_->step();
  EXPECT_LT(engine_->free_blocks().full_blocks, all.full_blocks);
  engine_->cancel(*cancelled);
  engine_->cancel(12345);
  const auto outputs = run();
  for (const Output& output : outputs) EXPECT_NE(output.sequence, *cancelled);
  EXPECT_EQ(engine_->free_blocks().full_blocks, all.full_blocks);
  EXPECT_EQ(engine_->free_blocks().sliding_blocks, all.sliding_blocks);
}

TEST_F(EngineTest, CancellingAmidARunChangesNoOtherSequence) {
  ASSERT_TRUE(engine_->submit(greedy({9, 8, 7}, 20)).ok());
  const auto alone = run();
  const auto other = engine_->submit(greedy({4, 4, 4, 4, 4, 4, 4, 4, 4}, 20));
  const auto kept = engine_->submit(greedy({9, 8, 7}, 20));
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(kept.ok());
  std::vector<TokenId> tokens;
  for (int step = 0; !engine_->idle(); ++step) {
    if (step == 5) engine_->cancel(*other);
    for (const Output& output : engine_->step()) {
      if (output.sequence == *kept) tokens.push_back(output.sampled.token);
    }
  }
  ASSERT_EQ(tokens.size(), alone.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) EXPECT_EQ(tokens[i], alone[i].sampled.token);
}

TEST_F(EngineTest, RefusesWhatCannotRunAndSaysWhy) {
  EXPECT_THAT(error_of(greedy({}, 5)), HasSubstr("prompt is empty"));
  EXPECT_THAT(
      error_of(greedy({1, 1024}, 5)),
      HasSubstr("token 1024 is not in this model's vocabulary, 0 to 1023")
  );
  EXPECT_THAT(error_of(greedy({1}, 0)), HasSubstr("max_tokens is 0"));
  const std::string full = error_of(greedy(std::vector<TokenId>(64, 1), 1));
  EXPECT_THAT(full, HasSubstr("the prompt has 64 tokens, and the context holds 64"));
  EXPECT_THAT(full, HasSubstr("131072"));
  Request hot = greedy({1}, 5);
  hot.sampling.temperature = -1;
  EXPECT_THAT(error_of(std::move(hot)), HasSubstr("temperature"));
  EXPECT_TRUE(engine_->idle());
}

TEST_F(EngineTest, RefusesAContextThatTheModelDoesNotHave) {
  const auto engine = model_.try_make({.context_length = 200000});
  ASSERT_FALSE(engine.ok());
  EXPECT_THAT(
      engine.error().message,
      HasSubstr("a context of 200000 tokens was asked for; this model takes 1 to 131072")
  );
}

TEST_F(EngineTest, ScoringAgreesWithGeneration) {
  Request request = greedy({1, 2, 3}, 12);
  request.sampling.top_logprobs = 2;
  ASSERT_TRUE(engine_->submit(std::move(request)).ok());
  const auto outputs = run();
  std::vector<TokenId> text = {1, 2, 3};
  for (const Output& output : outputs) text.push_back(output.sampled.token);
  std::vector<ScoredPosition> scored;
  const Status status = score(
      model_.checkpoint().config(),
      model_.checkpoint().weights(),
      model_.backend(),
      text,
      2,
      [&](const ScoredPosition& position) { scored.push_back(position); }
  );
  ASSERT_TRUE(status.ok()) << status.error().message;
  ASSERT_EQ(scored.size(), text.size());
  EXPECT_EQ(scored[0].logprob, std::nullopt);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_EQ(scored[i + 3].logprob, outputs[i].sampled.logprob);
    EXPECT_EQ(scored[i + 2].top, outputs[i].sampled.top);
  }
}

}  // namespace
}  // namespace gossamer::engine
