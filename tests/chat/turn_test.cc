#include "chat/turn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/chat/scripted_turn.h"

namespace gossamer::chat {
namespace {

using engine::FinishReason;
using harmony::Message;
using harmony::Role;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kCallWeather =
    "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{\"a\":1}<|call|>";
constexpr std::string_view kCallEcho = "<|channel|>analysis to=echo.say code<|message|>hi<|call|>";

TurnRequest hello() {
  TurnRequest request;
  Message system;
  system.role = Role::kSystem;
  system.content = {harmony::SystemContent::defaults()};
  request.conversation.messages = {system, Message::of_text(Role::kUser, "Hello")};
  return request;
}

TurnRequest with_callees() {
  TurnRequest request = hello();
  request.functions = {"functions.get_weather", "mcp__srv.lookup"};
  request.tools = {std::make_shared<EchoTool>()};
  return request;
}

/// The first token of a text that the mask refuses, as text; "" when it allows all.
std::string refused(const engine::Request& request, std::string_view text) {
  std::vector<std::uint64_t> bits((o200k_encoding().tokenizer().vocab_size() + 63) / 64);
  for (const TokenId token : tokens_of(text)) {
    if (request.mask->fill(bits) && (bits[token / 64] >> token % 64 & 1) == 0) {
      return text_of({&token, 1});
    }
    request.mask->accept(token);
  }
  return "";
}

std::string first_refused(TurnRequest turn_request, std::string_view text) {
  auto turn = Turn::create(o200k_encoding(), std::move(turn_request));
  return refused(*turn->next_generation(), text);
}

TEST(TurnTest, ReasoningPreambleAndAnswerComeAsMessagesOfTheirKind) {
  ScriptedTurn turn(hello());
  turn.generate(
      "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary<|message|>"
      "Let me see.<|end|><|start|>assistant<|channel|>final<|message|>Hello there!<|return|>"
  );
  EXPECT_THAT(
      turn.said(),
      ElementsAre(
          "0 reasoning",
          "0 \"hm\"",
          "0 end",
          "1 preamble",
          "1 \"Let me see.\"",
          "1 end",
          "2 answer",
          "2 \"Hello there!\"",
          "2 end"
      )
  );
  EXPECT_EQ(turn.turn().end(), TurnEnd::kAnswer);
  EXPECT_EQ(turn.turn().pending_call(), nullptr);
  EXPECT_EQ(turn.turn().messages().size(), 3U);
}

TEST(TurnTest, ThePromptEndsWhereTheAssistantBegins) {
  ScriptedTurn turn(hello());
  turn.generate("<|channel|>final<|message|>Hi<|return|>");
  const engine::Request& request = turn.requests().front();
  const std::string prompt = text_of(request.prompt);
  EXPECT_TRUE(prompt.ends_with("<|start|>user<|message|>Hello<|end|><|start|>assistant")) << prompt;
  EXPECT_EQ(request.stop_tokens, o200k_encoding().turn_end_tokens());
  ASSERT_EQ(request.reuse_positions.size(), 1U);
  const auto system =
      std::span(request.prompt).first(static_cast<std::size_t>(request.reuse_positions[0]));
  EXPECT_TRUE(text_of(system).ends_with("Channel must be included for every message.<|end|>"));
}

TEST(TurnTest, UsageCountsEveryTokenAndThoseOfReasoningWithTheirHeaders) {
  const auto reasoning = tokens_of("<|channel|>analysis<|message|>hm, well<|end|>");
  const auto rest = tokens_of("<|start|>assistant<|channel|>final<|message|>Hello<|return|>");
  auto all = reasoning;
  all.insert(all.end(), rest.begin(), rest.end());
  ScriptedTurn turn(hello());
  turn.generate(all);
  const TurnUsage usage = turn.turn().usage();
  EXPECT_EQ(usage.prompt_tokens, static_cast<int>(turn.requests()[0].prompt.size()));
  EXPECT_EQ(usage.cached_tokens, 3);
  EXPECT_EQ(usage.output_tokens, static_cast<int>(all.size()));
  EXPECT_EQ(usage.reasoning_tokens, static_cast<int>(reasoning.size()));
}

TEST(TurnTest, TextComesWithTheTokensThatItEndsIn) {
  const auto text = tokens_of("a 🦩 b");
  auto tokens = tokens_of("<|channel|>final<|message|>");
  tokens.insert(tokens.end(), text.begin(), text.end());
  tokens.push_back(o200k_encoding().id(harmony::Marker::kReturn));
  auto turn = Turn::create(o200k_encoding(), hello());
  ASSERT_TRUE(turn->next_generation().ok());
  std::vector<TokenId> reported;
  for (const TokenId token : tokens) {
    for (const Event& event : turn->push({.token = token})) {
      const auto* added = std::get_if<TextAdded>(&event);
      if (added == nullptr) continue;
      std::vector<TokenId> part;
      for (const auto& sampled : added->tokens) part.push_back(sampled.token);
      // " \xF0\x9F" is one token: it comes with the text in which it ends.
      EXPECT_TRUE(added->text != "🦩" || text_of(part) == " 🦩");
      reported.insert(reported.end(), part.begin(), part.end());
    }
  }
  EXPECT_EQ(reported, text);
}

TEST(TurnTest, AStopTextEndsTheAnswerAcrossTokensAndIsNotShown) {
  TurnRequest request = hello();
  request.stop = {"STOP now"};
  ScriptedTurn turn(std::move(request));
  turn.generate(
      "<|channel|>analysis<|message|>STOP now?<|end|><|start|>assistant<|channel|>final<|message|>"
      "One STOP it. Two STOP now three<|return|>"
  );
  EXPECT_THAT(
      turn.said(),
      ElementsAre(
          "0 reasoning", "0 \"STOP now?\"", "0 end", "1 answer", "1 \"One STOP it. Two \"", "1 end"
      )
  );
  EXPECT_EQ(turn.turn().end(), TurnEnd::kAnswer);
  EXPECT_EQ(turn.turn().messages()[1].text(), "One STOP it. Two ");
  EXPECT_TRUE(turn.turn().messages()[1].sampled.empty());
  std::string reported;
  for (const auto& token : std::get<TextAdded>(turn.events()[4]).tokens) {
    reported += text_of({&token.token, 1});
  }
  EXPECT_TRUE(std::string("One STOP it. Two ").starts_with(reported)) << reported;
}

TEST(TurnTest, TheRecipientDecidesOnCommentaryAndAnalysisAndNeverOnFinal) {
  const auto first = [](std::string_view text) {
    ScriptedTurn turn(with_callees());
    turn.generate(text, FinishReason::kStop);
    return turn.said().front();
  };
  const std::string call = "0 function_call functions.get_weather";
  EXPECT_EQ(first(kCallWeather), call);
  EXPECT_EQ(first("<|channel|>analysis to=functions.get_weather<|message|>{}<|call|>"), call);
  EXPECT_EQ(first(" to=get_weather<|channel|>commentary<|message|>{}<|call|>"), call);
  EXPECT_EQ(
      first("<|channel|>commentary to=mcp__srv.lookup<|message|>{}<|call|>"),
      "0 function_call mcp__srv.lookup"
  );
  EXPECT_EQ(
      first("<|channel|>commentary to=functions.rm<|message|>{}<|call|>"),
      "0 function_call functions.rm"
  );
  EXPECT_EQ(first(kCallEcho), "0 tool_call echo.say");
  EXPECT_EQ(first("<|channel|>final to=functions.get_weather<|message|>{}<|return|>"), "0 answer");
  EXPECT_EQ(first("<|channel|>commentary to=all<|message|>Hi<|end|>"), "0 preamble");
}

TEST(TurnTest, AFunctionCallEndsTheTurn) {
  ScriptedTurn turn(with_callees());
  turn.generate(kCallWeather);
  EXPECT_THAT(
      turn.said(), ElementsAre("0 function_call functions.get_weather", "0 \"{\"a\":1}\"", "0 end")
  );
  EXPECT_EQ(turn.turn().end(), TurnEnd::kFunctionCall);
  EXPECT_EQ(turn.turn().pending_call(), nullptr);
}

TEST(TurnTest, AGenerationThatIsCutLeavesItsMessageIncomplete) {
  ScriptedTurn turn(with_callees());
  turn.generate(
      "<|channel|>commentary to=functions.get_weather<|message|>{\"a", FinishReason::kLength
  );
  EXPECT_THAT(
      turn.said(), ElementsAre("0 function_call functions.get_weather", "0 \"{\"a\"", "0 cut")
  );
  EXPECT_EQ(turn.turn().end(), TurnEnd::kLength);
  EXPECT_EQ(turn.turn().messages().size(), 1U);
}

TEST(TurnTest, AGenerationThatIsCutInAHeaderHasNoMessageForIt) {
  for (const std::string_view text :
       {"<|channel|>final", "<|channel|>commentary to=functions.get", "<|channel|>", ""}) {
    ScriptedTurn turn(with_callees());
    turn.generate(text, FinishReason::kLength);
    EXPECT_THAT(turn.said(), ElementsAre()) << text;
    EXPECT_EQ(turn.turn().end(), TurnEnd::kLength);
  }
}

TEST(TurnTest, ACallOfOurToolIsAnsweredAndTheNextPromptBeginsWithEveryTokenSoFar) {
  TurnRequest request = with_callees();
  // Earlier reasoning that is not shown must stay away when the turn goes on after a call.
  Message old_thought = Message::of_text(Role::kAssistant, "old thought");
  old_thought.channel = "analysis";
  Message old_answer = Message::of_text(Role::kAssistant, "old answer");
  old_answer.channel = "final";
  auto& messages = request.conversation.messages;
  messages.insert(messages.end(), {old_thought, old_answer, Message::of_text(Role::kUser, "Go")});
  ScriptedTurn turn(std::move(request));
  // Tokens that no encoder would choose for this text.
  auto sampled = tokens_of("<|channel|>analysis<|message|>");
  for (const char letter : std::string("think hard")) {
    sampled.push_back(tokens_of(std::string(1, letter)).front());
  }
  const auto call = tokens_of("<|end|><|start|>assistant" + std::string(kCallEcho));
  sampled.insert(sampled.end(), call.begin(), call.end());
  turn.generate(sampled);
  ASSERT_NE(turn.turn().pending_call(), nullptr);
  EXPECT_EQ(turn.turn().pending_call()->text(), "hi");
  turn.run_tool();
  EXPECT_EQ(turn.turn().pending_call(), nullptr);
  turn.generate("<|channel|>final<|message|>Done<|return|>");

  auto expected = turn.requests()[0].prompt;
  EXPECT_EQ(text_of(expected).find("old thought"), std::string::npos);
  EXPECT_NE(text_of(expected).find("old answer"), std::string::npos);
  expected.insert(expected.end(), sampled.begin(), sampled.end());
  const auto& second = turn.requests()[1].prompt;
  ASSERT_GT(second.size(), expected.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), second.begin()));
  EXPECT_EQ(
      text_of(std::span(second).subspan(expected.size())),
      "<|start|>echo.say to=assistant<|channel|>analysis<|message|>echo: "
      "hi<|end|><|start|>assistant"
  );
  EXPECT_EQ(
      turn.requests()[1].reuse_positions.back(), static_cast<int>(turn.requests()[0].prompt.size())
  );
  EXPECT_THAT(
      turn.said(),
      ElementsAre(
          "0 reasoning",
          "0 \"think hard\"",
          "0 end",
          "1 tool_call echo.say",
          "1 \"hi\"",
          "1 end",
          "1 result echo: hi",
          "3 answer",
          "3 \"Done\"",
          "3 end"
      )
  );
  EXPECT_EQ(turn.turn().messages()[2].name, "echo.say");
  EXPECT_EQ(turn.turn().end(), TurnEnd::kAnswer);
  EXPECT_EQ(turn.turn().usage().prompt_tokens, static_cast<int>(turn.requests()[0].prompt.size()));
}

TEST(TurnTest, PromptsCanBeReusedAroundUserMessagesWhereTheAssistantBegins) {
  TurnRequest request = hello();
  Message answer = Message::of_text(Role::kAssistant, "Hi");
  answer.channel = "final";
  auto& messages = request.conversation.messages;
  messages.insert(messages.end(), {answer, Message::of_text(Role::kUser, "More")});
  auto turn = Turn::create(o200k_encoding(), std::move(request));
  const auto next = turn->next_generation();
  std::vector<std::string> ends;
  for (const int position : next->reuse_positions) {
    const std::string text =
        text_of(std::span(next->prompt).first(static_cast<std::size_t>(position)));
    ends.push_back(text.substr(text.size() - 19));
  }
  EXPECT_THAT(
      ends, ElementsAre("ery message.<|end|>", "><|start|>assistant", "|message|>Hi<|end|>")
  );
}

TEST(TurnTest, TheGenerationsOfATurnShareTheirTokens) {
  TurnRequest request = with_callees();
  const int call_tokens = static_cast<int>(tokens_of(kCallEcho).size());
  request.max_tokens = call_tokens + 5;
  ScriptedTurn turn(request);
  turn.generate(kCallEcho).run_tool().generate(
      "<|channel|>final<|message|>a b", FinishReason::kLength
  );
  EXPECT_EQ(turn.requests()[0].max_tokens, call_tokens + 5);
  EXPECT_EQ(turn.requests()[1].max_tokens, 5);
  EXPECT_EQ(turn.turn().end(), TurnEnd::kLength);

  request.max_tokens = call_tokens;
  ScriptedTurn short_turn(request);
  short_turn.generate(kCallEcho);
  EXPECT_EQ(short_turn.turn().pending_call(), nullptr);
  EXPECT_EQ(short_turn.turn().end(), TurnEnd::kLength);
}

TEST(TurnTest, PastTheLimitOfCallsToolsCanNoLongerBeCalled) {
  TurnRequest request = with_callees();
  request.max_tool_calls = 1;
  ScriptedTurn turn(std::move(request));
  turn.generate(kCallEcho).run_tool();
  const auto next = turn.turn().next_generation();
  EXPECT_EQ(refused(*next, kCallEcho), " to");
  // A model that writes it all the same is not answered.
  turn.generate(kCallEcho);
  EXPECT_EQ(turn.turn().pending_call(), nullptr);
  EXPECT_EQ(turn.turn().end(), TurnEnd::kLength);
}

TEST(TurnTest, TheToolChoiceIsInTheMask) {
  constexpr std::string_view kAnswer = "<|channel|>final<|message|>Hi<|return|>";
  TurnRequest request = with_callees();
  EXPECT_EQ(first_refused(request, kAnswer), "");
  EXPECT_EQ(first_refused(request, kCallWeather), "");
  EXPECT_EQ(first_refused(request, kCallEcho), "");
  request.tool_choice = ToolChoice::kRequired;
  EXPECT_EQ(first_refused(request, kAnswer), "final");
  EXPECT_EQ(first_refused(request, kCallWeather), "");
  request.tool_choice = ToolChoice::kNone;
  EXPECT_EQ(first_refused(request, kAnswer), "");
  EXPECT_EQ(first_refused(request, kCallWeather), " to");
}

TEST(TurnTest, ACallOfOurOwnToolIsACallThatWasRequired) {
  TurnRequest request = with_callees();
  request.tool_choice = ToolChoice::kRequired;
  ScriptedTurn turn(std::move(request));
  turn.generate(kCallEcho).run_tool();
  EXPECT_EQ(refused(*turn.turn().next_generation(), "<|channel|>final<|message|>"), "");
}

TEST(TurnTest, WhatCannotBeRenderedOrCalledIsAnError) {
  const auto error_of = [](TurnRequest request) {
    const auto turn = Turn::create(o200k_encoding(), std::move(request));
    return turn.ok() ? "" : turn.error().message;
  };
  TurnRequest request = hello();
  request.functions = {"functions.Web Search"};
  EXPECT_THAT(error_of(request), HasSubstr("functions.Web Search"));
  request = hello();
  request.tool_choice = ToolChoice::kRequired;
  EXPECT_THAT(error_of(request), HasSubstr("never end"));
  request = hello();
  request.conversation.messages.push_back(Message::of_text(Role::kTool, "no name"));
  EXPECT_THAT(error_of(request), HasSubstr("name"));
}

TEST(TurnTest, WhatFollowsAnAnswerWithoutItsEndTokenIsNotTaken) {
  ScriptedTurn turn(hello());
  turn.generate("<|channel|>final<|message|>Hi<|end|><|start|>user<|message|>More");
  EXPECT_THAT(turn.said(), ElementsAre("0 answer", "0 \"Hi\"", "0 end"));
  EXPECT_EQ(turn.turn().end(), TurnEnd::kAnswer);
}

TEST(TurnTest, RepairsOfAllGenerationsAreCounted) {
  ScriptedTurn turn(with_callees());
  turn.generate("<|channel|>analysis to=functions.get_weather<|message|>{}<|call|>");
  const auto counts = turn.turn().repair_counts();
  EXPECT_EQ(counts[static_cast<std::size_t>(harmony::Repair::kFunctionCallOnAnalysis)], 1U);
}

TEST(TurnTest, EveryGenerationDrawsItsOwnNumbers) {
  TurnRequest request = with_callees();
  request.sampling.seed = 7;
  ScriptedTurn turn(std::move(request));
  turn.generate(kCallEcho).run_tool().generate("<|channel|>final<|message|>a<|return|>");
  EXPECT_NE(turn.requests()[0].sampling.seed, turn.requests()[1].sampling.seed);
}

}  // namespace
}  // namespace gossamer::chat
