// Turns of real models at a temperature at which they stray: every header is well-formed, and only
// what was declared is called.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "chat/turn.h"
#include "checkpoint/checkpoint.h"
#include "demo_model/demo_model.h"
#include "engine/engine.h"
#include "kernels/cpu/cpu_backend.h"
#include "tests/chat/scripted_turn.h"

namespace gossamer::chat {
namespace {

using harmony::Message;
using harmony::Repair;
using harmony::Role;

/// A turn under way, and what was sampled in the generation under way.
struct RunningTurn {
  Turn turn;
  std::vector<TokenId> prompt;
  std::vector<TokenId> sampled;
  int num_generations = 0;
};

struct Tally {
  int turns = 0;
  int messages = 0;
  int function_calls = 0;
  int tool_calls = 0;
};

class ModelTurns {
 public:
  ModelTurns(const checkpoint::Checkpoint& checkpoint, const harmony::Encoding& encoding)
      : encoding_(encoding) {
    auto engine = engine::Engine::create(
        checkpoint.config(),
        checkpoint.weights(),
        backend_,
        {.context_length = 1024, .max_sequences = 16, .max_batch_tokens = 256, .seed = 5}
    );
    GOSSAMER_CHECK(engine.ok());
    engine_ = std::move(engine).value();
  }

  Tally run(const std::vector<TurnRequest>& requests) {
    for (const TurnRequest& request : requests) {
      auto turn = Turn::create(encoding_, request);
      require(turn.ok());
      submit(RunningTurn{std::move(turn).value(), {}, {}});
    }
    while (!engine_->idle()) {
      const auto step = engine_->step();
      const std::vector<engine::Output> outputs(step.begin(), step.end());
      for (const engine::Output& output : outputs) take(output);
    }
    EXPECT_TRUE(running_.empty());
    return tally_;
  }

 private:
  static void require(bool condition) { GOSSAMER_CHECK(condition); }

  void submit(RunningTurn running) {
    auto request = running.turn.next_generation();
    require(request.ok());
    const auto& before = running.prompt;
    EXPECT_TRUE(std::equal(before.begin(), before.end(), request->prompt.begin()));
    running.prompt = request->prompt;
    const auto id = engine_->submit(std::move(request).value());
    require(id.ok());
    ++running.num_generations;
    running.sampled.clear();
    running_.emplace(*id, std::move(running));
  }

  void take(const engine::Output& output) {
    const auto found = running_.find(output.sequence);
    ASSERT_NE(found, running_.end());
    RunningTurn& running = found->second;
    running.sampled.push_back(output.sampled.token);
    running.turn.push(output.sampled);
    EXPECT_FALSE(running.turn.is_stopped());
    if (!output.finish) return;
    running.turn.finish_generation(*output.finish, 0);
    expect_well_formed(running.sampled);
    RunningTurn ended = std::move(running);
    running_.erase(found);
    if (ended.turn.pending_call() == nullptr) return judge(ended.turn);
    ++tally_.tool_calls;
    ended.turn.add_tool_result(ended.turn.pending_tool()->run(*ended.turn.pending_call(), {}));
    // What the next prompt must begin with.
    ended.prompt.insert(ended.prompt.end(), ended.sampled.begin(), ended.sampled.end());
    submit(std::move(ended));
  }

  /// As the strict parser reads it; a header that max_tokens cut is left out.
  void expect_well_formed(std::vector<TokenId> sampled) {
    const auto start =
        std::find(sampled.rbegin(), sampled.rend(), encoding_.id(harmony::Marker::kStart));
    const auto message =
        std::find(sampled.rbegin(), sampled.rend(), encoding_.id(harmony::Marker::kMessage));
    if (message == sampled.rend()) return;
    if (start < message) sampled.erase(start.base() - 1, sampled.end());
    const harmony::ParsedStream parsed = parse_stream(
        encoding_, sampled, {.mode = harmony::ParseMode::kStrict, .role = Role::kAssistant}
    );
    EXPECT_FALSE(parsed.error) << *parsed.error << "\n" << encoding_.tokenizer().decode(sampled);
  }

  void judge(const Turn& turn) {
    ++tally_.turns;
    const auto counts = turn.repair_counts();
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto repair = static_cast<Repair>(i);
      if (repair == Repair::kInvalidUtf8) continue;
      EXPECT_EQ(counts[i], 0U) << repair_name(repair);
    }
    static const std::set<std::string> declared = {
        "functions.get_weather", "functions.add_event", "echo.say"};
    for (const Message& message : turn.messages()) {
      if (message.role != Role::kAssistant) continue;
      ++tally_.messages;
      if (!message.recipient) continue;
      EXPECT_TRUE(declared.contains(*message.recipient)) << *message.recipient;
      if (message.recipient->starts_with("functions.")) ++tally_.function_calls;
    }
  }

  harmony::Encoding encoding_;
  kernels::cpu::CpuBackend backend_{2};
  std::unique_ptr<engine::Engine> engine_;
  std::map<engine::SequenceId, RunningTurn> running_;
  Tally tally_;
};

/// What is added to the logits of tokens that end messages, and of the one that a call's header
/// begins with, so that turns are short and varied.
struct Bias {
  double end;
  double call;
};

void add_bias(const harmony::Encoding& encoding, Bias bias, engine::SamplingParams& sampling) {
  using harmony::Marker;
  for (const Marker marker : {Marker::kEnd, Marker::kCall, Marker::kReturn}) {
    sampling.logit_bias.emplace_back(encoding.id(marker), bias.end);
  }
  sampling.logit_bias.emplace_back(encoding.tokenizer().encode_ordinary(" to").front(), bias.call);
}

std::vector<TurnRequest> requests(
    const harmony::Encoding& encoding, int count, int max_tokens, Bias bias, Bias calling
) {
  std::vector<TurnRequest> turns;
  for (int i = 0; i < count; ++i) {
    TurnRequest turn;
    Message system;
    system.role = Role::kSystem;
    system.content = {harmony::SystemContent()};
    Message developer;
    developer.role = Role::kDeveloper;
    developer.content = {harmony::DeveloperContent{
        .tools = harmony::Tools{
            {"functions",
             harmony::function_tools({{"get_weather", "The weather of a place."}, {"add_event", ""}}
             )},
            {"echo", EchoTool().declaration()}}}};
    turn.conversation.messages = {
        system,
        developer,
        Message::of_text(Role::kUser, i % 2 == 0 ? "What is 27 + 45?" : "What can you do?")};
    turn.functions = {"functions.get_weather", "functions.add_event"};
    turn.tools = {std::make_shared<EchoTool>()};
    if (i % 4 == 1) turn.tool_choice = ToolChoice::kRequired;
    turn.sampling.temperature = 1.5;
    turn.sampling.seed = static_cast<std::uint64_t>(i);
    turn.max_tokens = max_tokens;
    turn.max_tool_calls = 3;
    // The demo model is sure of itself: calls have to be forced on it.
    add_bias(encoding, i % 3 == 0 ? calling : bias, turn.sampling);
    turns.push_back(std::move(turn));
  }
  return turns;
}

TEST(ModelTurnsTest, TheDemoModelCannotWriteAMalformedHeaderNorCallWhatWasNotDeclared) {
  const auto checkpoint = demo_model::open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  auto tokenizer = tokenizer::Tokenizer::from_json(*checkpoint->tokenizer_json(), "demo");
  ASSERT_TRUE(tokenizer.ok());
  const auto encoding = harmony::Encoding::create(std::move(tokenizer).value());
  ASSERT_TRUE(encoding.ok());
  const Tally tally =
      ModelTurns(*checkpoint, *encoding)
          .run(requests(*encoding, 100, 32, {.end = 5, .call = 0}, {.end = 28, .call = 24}));
  EXPECT_EQ(tally.turns, 100);
  EXPECT_GT(tally.messages, 120);
  EXPECT_GT(tally.function_calls + tally.tool_calls, 10);
}

TEST(ModelTurnsTest, NorCanAModelOfRandomWeightsWithTheFullVocabulary) {
  const auto checkpoint = checkpoint::Checkpoint::open(
      "synthetic:layers=2,experts=4,top_k=2,hidden=64,intermediate=64,heads=2,kv_heads=1,"
      "head_dim=32,seed=3"
  );
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const Tally tally =
      ModelTurns(*checkpoint, o200k_encoding())
          .run(requests(o200k_encoding(), 100, 24, {.end = 19, .call = 0}, {.end = 19, .call = 4}));
  EXPECT_EQ(tally.turns, 100);
  EXPECT_GT(tally.messages, 120);
  EXPECT_GT(tally.function_calls, 30);
  EXPECT_GT(tally.tool_calls, 20);
}

}  // namespace
}  // namespace gossamer::chat
