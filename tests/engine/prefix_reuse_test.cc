// What an engine with a prefix cache computes, and what it need not compute again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/engine/tiny_model.h"

namespace gossamer::engine {
namespace {

using Tokens = std::vector<TokenId>;

Tokens some_tokens(int count, TokenId seed) {
  Tokens tokens(static_cast<std::size_t>(count));
  TokenId next = seed;
  for (TokenId& token : tokens) token = (next = next * 7919 + 104729) % 1000;
  return tokens;
}

void append(Tokens& tokens, const Tokens& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
}

Tokens joined(Tokens first, const Tokens& second) {
  append(first, second);
  return first;
}

TEST(PrefixReuseTest, HitsChangeNoToken) {
  TinyModel model;
  const auto cold = model.make({.context_length = 512});
  const auto warm = model.make({.context_length = 512, .num_snapshots = 16});
  const Tokens prompt = some_tokens(300, 1);
  for (const int length : {300, 300, 299, 289, 288, 287, 150, 300}) {
    const auto count = static_cast<std::ptrdiff_t>(length);
    const Tokens part(prompt.begin(), prompt.begin() + count);
    Request request = greedy(joined(part, {7, 8, 9}), 40);
    request.reuse_positions = {100, length};
    EXPECT_EQ(run_alone(*warm, request), run_alone(*cold, request)) << length;
  }
  EXPECT_GT(warm->status().num_cached_tokens, 1500U);
  EXPECT_EQ(cold->status().num_cached_tokens, 0U);
}

TEST(PrefixReuseTest, PromptsThatPartInsideABlockShareItsBeginning) {
  TinyModel model;
  const auto cold = model.make({.context_length = 512});
  const auto warm = model.make({.context_length = 512, .num_snapshots = 16});
  const Tokens common = some_tokens(150, 1);
  std::uint64_t cached = 0;
  for (const int length : {150, 103, 97, 110, 127, 128, 129, 103}) {
    const auto count = static_cast<std::ptrdiff_t>(length);
    const Tokens part(common.begin(), common.begin() + count);
    Request request = greedy(joined(part, some_tokens(30, static_cast<TokenId>(length))), 20);
    request.reuse_positions = {100, 116};
    EXPECT_EQ(run_alone(*warm, request), run_alone(*cold, request)) << length;
    const std::uint64_t all = warm->status().num_cached_tokens;
    const int least = length < 150 ? std::min(length, 128) : 0;
    EXPECT_GE(all - cached, static_cast<std::uint64_t>(least)) << length;
    cached = all;
  }
}

TEST(PrefixReuseTest, TheReleasedWindowResumesToTheSameTokens) {
  const auto checkpoint =
      checkpoint::Checkpoint::open(std::string(GOSSAMER_GOLDEN_DIR) + "/pilot").value();
  kernels::cpu::CpuBackend backend(1);
  const auto make = [&](int num_snapshots) {
    return std::move(Engine::create(
                         checkpoint.config(),
                         checkpoint.weights(),
                         backend,
                         {.context_length = 1024, .num_snapshots = num_snapshots}
                     ))
        .value();
  };
  const auto cold = make(0);
  const auto warm = make(16);
  Tokens prompt = some_tokens(400, 3);
  for (int turn = 0; turn < 3; ++turn) {
    const Tokens answer = run_alone(*cold, greedy(prompt, 24));
    EXPECT_EQ(run_alone(*warm, greedy(prompt, 24)), answer);
    append(prompt, joined(answer, some_tokens(20, static_cast<TokenId>(turn))));
  }
  // 400 + 444 + 488 tokens, of which the first 400 and the 20 of each turn are new.
  EXPECT_GT(warm->status().num_cached_tokens, 800U);
}

TEST(PrefixReuseTest, EveryOutputSaysHowMuchOfItsPromptWasCached) {
  TinyModel model;
  const auto engine = model.make({.context_length = 512, .num_snapshots = 16});
  run_alone(*engine, greedy(some_tokens(100, 1), 5));
  ASSERT_TRUE(engine->submit(greedy(some_tokens(100, 1), 5)).ok());
  while (!engine->idle()) {
    for (const Output& output : engine->step()) EXPECT_EQ(output.num_cached_tokens, 96);
  }
}

TEST(PrefixReuseTest, ManyMarkedPositionsOfOnePromptLeaveRoomForOthers) {
  TinyModel model;
  const auto engine = model.make({.context_length = 1024, .num_snapshots = 8});
  run_alone(*engine, greedy(some_tokens(100, 2), 2));
  Request marked = greedy(some_tokens(900, 1), 2);
  marked.reuse_positions.resize(50);
  std::iota(marked.reuse_positions.begin(), marked.reuse_positions.end(), 0);
  for (int& position : marked.reuse_positions) position = 16 * position + 16;
  run_alone(*engine, std::move(marked));
  run_alone(*engine, greedy(some_tokens(100, 2), 2));
  EXPECT_EQ(engine->status().num_cached_tokens, 96U);
}

/// An agent's conversation: in each turn an analysis and a tool call, then an analysis and an
/// answer. The next turn's prompt has the calls and answers, but no analysis any more.
class AgentTrace {
 public:
  explicit AgentTrace(Engine& engine) : engine_(engine) {}

  void turn(TokenId number) {
    append(history_, some_tokens(20, 1000 + number));  // the user's message
    const int end_of_user = static_cast<int>(history_.size());
    const Tokens called = generate(history_, end_of_user, 20);
    const Tokens call(called.end() - 8, called.end());
    const Tokens result = some_tokens(60, 2000 + number);
    const Tokens answered = generate(joined(joined(history_, called), result), end_of_user, 20);
    append(history_, joined(joined(call, result), Tokens(answered.end() - 8, answered.end())));
  }

 private:
  Tokens generate(const Tokens& prompt, int end_of_user, int count) {
    Request request = greedy(prompt, count);
    request.reuse_positions = {kSystemTokens, end_of_user};
    return run_alone(engine_, std::move(request));
  }

  static constexpr int kSystemTokens = 3000;
  Engine& engine_;
  Tokens history_ = some_tokens(kSystemTokens, 1);
};

TEST(PrefixReuseTest, AnAgentsNextTurnComputesOnlyWhatIsNew) {
  TinyModel model;
  const auto engine = model.make({.context_length = 8000, .num_snapshots = 48});
  AgentTrace trace(*engine);
  trace.turn(0);
  const GeneratorStatus first = engine->status();
  for (TokenId turn = 1; turn < 20; ++turn) trace.turn(turn);
  const GeneratorStatus all = engine->status();
  const auto prompts = static_cast<double>(all.num_prompt_tokens - first.num_prompt_tokens);
  const auto cached = static_cast<double>(all.num_cached_tokens - first.num_cached_tokens);
  RecordProperty("recomputed_percent", std::to_string(100 * (1 - cached / prompts)));
  EXPECT_LT((prompts - cached) / prompts, 0.05);
}

TEST(PrefixReuseTest, TooLongForTheCacheIsRefusedWithWhatItHolds) {
  TinyModel model;
  const auto engine = model.make({.context_length = 512, .kv_blocks = model::KvCacheSize{10, 20}});
  const auto id = engine->submit(greedy(some_tokens(200, 1), 5));
  ASSERT_FALSE(id.ok());
  EXPECT_EQ(id.error().code, ErrorCode::kContextFull);
  EXPECT_THAT(
      id.error().message, testing::HasSubstr("has 200 tokens, and the KV cache holds 160 with")
  );
  Request open_end = greedy(some_tokens(100, 1), 5);
  open_end.max_tokens.reset();
  EXPECT_EQ(run_alone(*engine, std::move(open_end)).size(), 60U);
}

}  // namespace
}  // namespace gossamer::engine
