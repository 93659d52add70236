#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "harmony/renderer.h"
#include "harmony/stream_parser.h"
#include "tests/harmony/golden.h"

namespace gossamer::harmony {
namespace {

std::vector<TokenId> prompt_of(const Conversation& conversation) {
  const Renderer renderer(o200k_encoding());
  const auto fragments =
      renderer.for_completion(conversation, Role::kAssistant, EarlierAnalysis::kKeep);
  return renderer.tokens(*fragments);
}

/// Plays one turn: the prompt, what was sampled after it, and the prompt of the next turn.
void expect_next_prompt_continues(const std::vector<TokenId>& sampled) {
  Conversation conversation{{Message::of_text(Role::kUser, "hi")}};
  std::vector<TokenId> cached = prompt_of(conversation);
  cached.insert(cached.end(), sampled.begin(), sampled.end());
  const auto stream = parse_stream(o200k_encoding(), sampled, {.role = Role::kAssistant});
  conversation.messages.insert(
      conversation.messages.end(), stream.messages.begin(), stream.messages.end()
  );
  conversation.messages.push_back(Message::of_text(Role::kUser, "and then?"));
  std::vector<TokenId> next = prompt_of(conversation);
  if (cached.back() == o200k_encoding().id(Marker::kReturn)) cached.pop_back();
  ASSERT_GE(next.size(), cached.size());
  next.resize(cached.size());
  EXPECT_EQ(next, cached);
}

TEST(HistoryTest, ATurnIsRenderedWithTheTokensThatWereSampled) {
  expect_next_prompt_continues(tokens_of(
      "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>"
      "Hello!<|return|>"
  ));
}

TEST(HistoryTest, ARecipientStaysWhereTheModelPutIt) {
  expect_next_prompt_continues(
      tokens_of("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>")
  );
  expect_next_prompt_continues(
      tokens_of(" to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}<|call|>")
  );
  expect_next_prompt_continues(
      tokens_of("<|channel|>commentary to=functions.f<|constrain|>json<|message|>{}<|call|>")
  );
}

TEST(HistoryTest, TokensThatTheTokenizerWouldNotHaveChosenAreKept) {
  const auto& tokenizer = o200k_encoding().tokenizer();
  std::vector<TokenId> sampled = tokens_of("<|channel|>final<|message|>");
  for (const char c : std::string("letter by letter")) {
    sampled.push_back(tokenizer.encode_ordinary(std::string(1, c))[0]);
  }
  sampled.push_back(o200k_encoding().id(Marker::kReturn));
  expect_next_prompt_continues(sampled);
}

TEST(HistoryTest, ATurnCutBeforeItsEndContinuesUpToTheCut) {
  expect_next_prompt_continues(tokens_of("<|channel|>final<|message|>Once upon a"));
}

TEST(HistoryTest, RandomContentIsKeptTokenForToken) {
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    std::vector<TokenId> sampled = tokens_of("<|channel|>final<|message|>");
    const std::size_t length = random() % 20;
    for (std::size_t j = 0; j < length; ++j) sampled.push_back(random() % 199'998);
    sampled.push_back(o200k_encoding().id(Marker::kReturn));
    expect_next_prompt_continues(sampled);
  }
}

TEST(HistoryTest, AMalformedTurnIsRenderedAsItShouldHaveBeen) {
  const auto stream = parse_stream(
      o200k_encoding(),
      tokens_of("<|channel|>final<|channel|>final<|message|>a<|return|>"),
      {.role = Role::kAssistant}
  );
  ASSERT_EQ(stream.messages.size(), 1U);
  const Renderer renderer(o200k_encoding());
  const auto fragments = renderer.message(stream.messages[0], FunctionTools::kNone);
  EXPECT_EQ(renderer.text(*fragments), "<|start|>assistant<|channel|>final<|message|>a<|end|>");
}

TEST(HistoryTest, ACutToolCallEndsInCall) {
  const auto stream = parse_stream(
      o200k_encoding(),
      tokens_of("<|channel|>commentary to=functions.f<|message|>{}"),
      {.role = Role::kAssistant}
  );
  const Renderer renderer(o200k_encoding());
  const auto fragments = renderer.message(stream.messages[0], FunctionTools::kNone);
  EXPECT_EQ(
      renderer.text(*fragments),
      "<|start|>assistant<|channel|>commentary to=functions.f<|message|>{}<|call|>"
  );
}

}  // namespace
}  // namespace gossamer::harmony
