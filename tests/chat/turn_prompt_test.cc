#include "chat/turn_prompt.h"

#include <gtest/gtest.h>

#include "tests/chat/scripted_turn.h"

namespace gossamer::chat {
namespace {

using harmony::Conversation;
using harmony::Message;
using harmony::Role;

Message said(std::string_view channel, std::string text) {
  Message message = Message::of_text(Role::kAssistant, std::move(text));
  message.channel = channel;
  return message;
}

Message called(std::string_view recipient) {
  Message message = said("commentary", "{}");
  message.recipient = recipient;
  return message;
}

std::string prompt_of(const Conversation& conversation) {
  const auto prompt = TurnPrompt::create(o200k_encoding(), conversation);
  GOSSAMER_CHECK(prompt.ok());
  return text_of(prompt->tokens());
}

TEST(TurnPromptTest, IsWhatTheRendererMakesForACompletion) {
  const Conversation conversation{
      {Message::of_text(Role::kUser, "a"),
       said("analysis", "hm"),
       said("final", "b"),
       Message::of_text(Role::kUser, "c")}};
  const harmony::Renderer renderer(o200k_encoding());
  const auto fragments =
      renderer.for_completion(conversation, Role::kAssistant, harmony::EarlierAnalysis::kDrop);
  const auto prompt = TurnPrompt::create(o200k_encoding(), conversation);
  EXPECT_EQ(prompt->tokens(), renderer.tokens(*fragments));
}

TEST(TurnPromptTest, ReasoningBeforeTheLastAnswerIsGoneAndWhatFollowsItStays) {
  Conversation conversation{
      {Message::of_text(Role::kUser, "a"),
       said("analysis", "one"),
       said("final", "b"),
       Message::of_text(Role::kUser, "c"),
       said("analysis", "two"),
       called("functions.f")}};
  const std::string during = prompt_of(conversation);
  EXPECT_EQ(during.find("one"), std::string::npos);
  EXPECT_NE(during.find("two"), std::string::npos);
  conversation.messages.push_back(said("final", "d"));
  EXPECT_EQ(prompt_of(conversation).find("two"), std::string::npos);
}

TEST(TurnPromptTest, AnAgentsNextPromptBeginsWithTheLastOne) {
  Conversation conversation{
      {Message::of_text(Role::kUser, "a"),
       said("analysis", "one"),
       said("final", "b"),
       Message::of_text(Role::kUser, "c")}};
  std::string before;
  for (int i = 0; i < 3; ++i) {
    const std::string prompt = prompt_of(conversation);
    EXPECT_TRUE(prompt.starts_with(before));
    before = prompt;
    Message result = Message::of_text(Role::kTool, "result");
    result.name = "functions.f";
    auto& messages = conversation.messages;
    messages.insert(messages.end(), {said("analysis", "hm"), called("functions.f"), result});
  }
}

TEST(TurnPromptTest, MessagesOfTheTurnAreAddedAtTheEnd) {
  auto prompt = TurnPrompt::create(o200k_encoding(), {{Message::of_text(Role::kUser, "a")}});
  const auto before = prompt->tokens();
  ASSERT_TRUE(prompt->append(said("analysis", "hm")).ok());
  EXPECT_EQ(
      text_of(prompt->tokens()),
      text_of(before) + "<|channel|>analysis<|message|>hm<|end|><|start|>assistant"
  );
  EXPECT_EQ(prompt->reuse_positions().back(), static_cast<int>(before.size()));
  EXPECT_EQ(prompt->message_tokens().size() + 2, prompt->tokens().size());
}

}  // namespace
}  // namespace gossamer::chat
