// Times rendering and parsing.
//
//   harmony_bench [--benchmark_filter=...]
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "harmony/renderer.h"
#include "harmony/stream_parser.h"

namespace gossamer::harmony {
namespace {

constexpr std::size_t kTextBytes = 100'000;

Encoding make_encoding() {
  return Encoding::create(tokenizer::Tokenizer::o200k_harmony().value()).value();
}

Message answer(std::string text) {
  Message message = Message::of_text(Role::kAssistant, std::move(text));
  message.channel = "final";
  return message;
}

/// A conversation of 100 kB of prose.
Conversation long_conversation() {
  Conversation conversation;
  Message system;
  system.role = Role::kSystem;
  system.content.emplace_back(SystemContent::defaults());
  conversation.messages.push_back(std::move(system));
  std::string text;
  for (std::size_t bytes = 0, turn = 0; bytes < kTextBytes; bytes += text.size(), ++turn) {
    text.clear();
    for (std::size_t i = 0; i < 20; ++i) {
      text += "Turn " + std::to_string(turn * i) + ": the answer (see `main.cc`) is 42, I think.\n";
    }
    conversation.messages.push_back(
        turn % 2 == 0 ? Message::of_text(Role::kUser, text) : answer(text)
    );
  }
  return conversation;
}

/// About a million tokens of model output.
std::vector<TokenId> long_stream(const Encoding& encoding) {
  const auto turn = encoding.tokenizer().encode_with_specials(
      "<|channel|>analysis<|message|>The user wants a long story. Let me think about größe, 日本語 "
      "and "
      "\"quotes\" for a while, and then write it down in plain words.<|end|>"
      "<|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>{\"a\": "
      "1}"
      "<|call|><|start|>assistant"
  );
  std::vector<TokenId> tokens;
  while (tokens.size() < 1'000'000) tokens.insert(tokens.end(), turn.begin(), turn.end());
  return tokens;
}

void render(benchmark::State& state, const Encoding& encoding) {
  const Renderer renderer(encoding);
  const Conversation conversation = long_conversation();
  for (auto _ : state) {
    const auto fragments =
        renderer.for_completion(conversation, Role::kAssistant, EarlierAnalysis::kDrop);
    benchmark::DoNotOptimize(renderer.tokens(*fragments));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(kTextBytes) * state.iterations());
}

void parse(benchmark::State& state, const Encoding& encoding, ParseMode mode) {
  const auto tokens = long_stream(encoding);
  for (auto _ : state) {
    StreamParser parser(encoding, {.mode = mode, .role = Role::kAssistant});
    for (const TokenId token : tokens) benchmark::DoNotOptimize(parser.push(token));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(tokens.size()) * state.iterations());
}

}  // namespace
}  // namespace gossamer::harmony

int main(int argc, char** argv) {
  using namespace gossamer::harmony;  // NOLINT(google-build-using-namespace): its own program
  benchmark::Initialize(&argc, argv);
  const Encoding encoding = make_encoding();
  benchmark::RegisterBenchmark("render/100 kB", render, encoding)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("parse/lenient", parse, encoding, ParseMode::kLenient)
      ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("parse/strict", parse, encoding, ParseMode::kStrict)
      ->Unit(benchmark::kMillisecond);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
