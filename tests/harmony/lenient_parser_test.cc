#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "harmony/message_json.h"
#include "harmony/stream_parser.h"
#include "tests/harmony/golden.h"

namespace gossamer::harmony {
namespace {

using nlohmann::ordered_json;
using testing::ElementsAre;
using testing::IsEmpty;

std::optional<Role> role_of(const ordered_json& item) {
  if (item["role"].is_null()) return std::nullopt;
  return role_from_name(item["role"].get<std::string>());
}

/// "role[:name][ to=recipient][ @channel][ type] | content" of each message.
std::vector<std::string> shown(const std::vector<Message>& messages) {
  std::vector<std::string> lines;
  for (const Message& message : messages) {
    std::string line(role_name(message.role));
    if (message.name) line += ":" + *message.name;
    if (message.recipient) line += " to=" + *message.recipient;
    if (message.channel) line += " @" + *message.channel;
    if (message.content_type) line += " " + *message.content_type;
    lines.push_back(line + " | " + message.text());
  }
  return lines;
}

std::vector<std::string> names(const std::vector<Diagnostic>& diagnostics) {
  std::vector<std::string> list;
  for (const Diagnostic& diagnostic : diagnostics) {
    list.emplace_back(repair_name(diagnostic.repair));
  }
  return list;
}

ParsedStream parse(std::string_view text, std::optional<Role> role = Role::kAssistant) {
  return parse_stream(o200k_encoding(), tokens_of(text), {.role = role});
}

/// Where the recordings of the reference's own recovery mode lose text, leak special tokens or
/// misread a header (docs/harmony.md), and what a message is here instead.
const std::map<std::string, std::vector<std::string>>& deliberate_differences() {
  static const std::map<std::string, std::vector<std::string>> differences = {
      // A word without "to=" is a content type, as in the renderer.
      {"<|channel|>analysis code<|message|>x<|end|>", {"assistant @analysis code | x"}},
      // A header is read on tokens: a marker never becomes a recipient.
      {"<|start|>assistant<|message|>x", {"assistant | x"}},
      {"<|start|>assistant<|channel|>fin<|constrain|>json<|message|>a<|end|>",
       {"assistant @fin <|constrain|>json | a"}},
      // "to=" is not the name of a tool.
      {"<|start|>to=assistant<|message|>out<|end|>", {"assistant to=assistant | out"}},
      // Special tokens do not leak into content.
      {"<|start|>assistant to=x<|channel|>final<|message|>a<|channel|>b<|constrain|>c<|message|>d"
       "<|end|>",
       {"assistant to=x @final | abcd"}},
      // A message without <|message|> keeps its text, also when its role is in the stream.
      {"<|start|>assistant header only<|end|><|start|>assistant<|message|>b<|end|>",
       {"assistant | header only", "assistant | b"}},
  };
  return differences;
}

TEST(LenientParserTest, AgreesWithTheReferencesRecoveryExceptWhereThatLosesOrLeaks) {
  std::size_t num_differences = 0;
  for (const auto& item : golden_json("harmony_parse.json")) {
    if (item["strict"] == true || item.contains("error")) continue;
    const std::string text = item["text"];
    const auto tokens = item["tokens"].get<std::vector<TokenId>>();
    const auto stream = parse_stream(o200k_encoding(), tokens, {.role = role_of(item)});
    const auto difference = deliberate_differences().find(text);
    if (difference != deliberate_differences().end()) {
      ++num_differences;
      EXPECT_EQ(shown(stream.messages), difference->second) << text;
      continue;
    }
    const auto reference =
        conversation_from_json(ordered_json{{"messages", item["messages"]}}.dump());
    ASSERT_TRUE(reference.ok()) << reference.error().message;
    EXPECT_EQ(shown(stream.messages), shown(reference->messages)) << text;
  }
  EXPECT_EQ(num_differences, deliberate_differences().size());
}

TEST(LenientParserTest, WhatTheReferenceRefusesIsReadAndNamed) {
  int num_cases = 0;
  for (const auto& item : golden_json("harmony_parse.json")) {
    if (item["strict"] == true || !item.contains("error") ||
        item["text"].get<std::string>().empty())
      continue;
    ++num_cases;
    const auto tokens = item["tokens"].get<std::vector<TokenId>>();
    const auto stream = parse_stream(o200k_encoding(), tokens, {.role = role_of(item)});
    EXPECT_FALSE(stream.error);
    EXPECT_FALSE(stream.messages.empty()) << item["text"];
  }
  EXPECT_GT(num_cases, 8);
}

TEST(LenientParserTest, AWellFormedStreamNeedsNoRepair) {
  const auto stream = parse(
      "<|channel|>analysis<|message|>hm<|end|><|start|>assistant "
      "to=functions.f<|channel|>commentary "
      "<|constrain|>json<|message|>{}<|call|><|start|>functions.f to=assistant<|channel|>commentary"
      "<|message|>1<|end|><|start|>assistant<|channel|>final<|message|>one<|return|>"
  );
  EXPECT_THAT(
      shown(stream.messages),
      ElementsAre(
          "assistant @analysis | hm",
          "assistant to=functions.f @commentary <|constrain|>json | {}",
          "tool:functions.f to=assistant @commentary | 1",
          "assistant @final | one"
      )
  );
  EXPECT_THAT(names(stream.diagnostics), IsEmpty());
}

/// A malformed stream, the messages in it, and the repairs they took.
struct RepairCase {
  std::string text;
  std::vector<std::string> messages;
  std::vector<std::string> repairs;
};

class LenientRepairTest : public testing::TestWithParam<RepairCase> {};

TEST_P(LenientRepairTest, KeepsTheTextAndNamesTheRepair) {
  const RepairCase& expected = GetParam();
  const auto stream = parse(expected.text);
  EXPECT_EQ(shown(stream.messages), expected.messages) << expected.text;
  EXPECT_EQ(names(stream.diagnostics), expected.repairs) << expected.text;
}

const RepairCase kRepairCases[] = {
    // <|start|> is missing.
    {"<|channel|>analysis<|message|>a<|end|>assistant<|channel|>final<|message|>b<|return|>",
     {"assistant @analysis | a", "assistant @final | b"},
     {"missing_start", "repeated_role"}},
    {"<|message|>a<|end|>commentary to=functions.f<|message|>{}<|call|>",
     {"assistant | a", "assistant to=functions.f @commentary | {}"},
     {"missing_start", "channel_in_role_position"}},
    {"<|message|>a<|end|><|channel|>final<|message|>b<|return|>",
     {"assistant | a", "assistant @final | b"},
     {"missing_start"}},
    {"<|message|>a<|end|>and more<|return|>",
     {"assistant | a", "assistant | and more"},
     {"missing_start", "missing_message"}},
    // <|start|> is repeated.
    {"<|start|><|start|>assistant<|channel|>final<|message|>a<|return|>",
     {"assistant @final | a"},
     {"repeated_start", "repeated_start"}},
    {"<|channel|>analysis<|start|>assistant<|channel|>final<|message|>a<|return|>",
     {"assistant @analysis | ", "assistant @final | a"},
     {"missing_message"}},
    // <|message|> is missing.
    {"<|channel|>final The answer is 4.<|return|>",
     {"assistant @final | The answer is 4."},
     {"missing_message"}},
    {"<|channel|>commentary to=functions.f <|constrain|>json{\"a\": 1}<|call|>",
     {"assistant to=functions.f @commentary <|constrain|>json | {\"a\": 1}"},
     {"missing_message"}},
    {"<|channel|>final\nFirst line.\nSecond line.<|return|>",
     {"assistant @final | First line.\nSecond line."},
     {"missing_message"}},
    // <|end|> is missing.
    {"<|channel|>analysis<|message|>hm<|start|>assistant<|channel|>final<|message|>a<|return|>",
     {"assistant @analysis | hm", "assistant @final | a"},
     {"missing_end"}},
    {"<|channel|>analysis<|message|>hm<|channel|>final<|message|>a<|return|>",
     {"assistant @analysis | hm", "assistant @final | a"},
     {"missing_end", "missing_start"}},
    {"<|channel|>analysis<|message|>hm<|channel|>commentary to=python code<|message|>1<|call|>",
     {"assistant @analysis | hm", "assistant to=python @commentary code | 1"},
     {"missing_end", "missing_start"}},
    {"<|channel|>final<|message|>a<|channel|>b\nc<|message|>d<|return|>",
     {"assistant @final | ab\ncd"},
     {"misplaced_marker", "misplaced_marker"}},
    // Channels.
    {"<|channel|><|channel|>analysis<|message|>a<|end|>",
     {"assistant @analysis | a"},
     {"missing_channel_name"}},
    {"<|channel|>analysis<|channel|>analysis<|message|>a<|end|>",
     {"assistant @analysis | a"},
     {"repeated_channel"}},
    {"<|channel|>analysis<|channel|>commentary to=functions.f<|message|>{}<|call|>",
     {"assistant to=functions.f @commentary | {}"},
     {"repeated_channel"}},
    {"<|channel|>analysis?!<|message|>a<|end|>",
     {"assistant @analysis | a"},
     {"unexpected_header_text"}},
    {"<|channel|>commentary 2?<|message|>a<|end|>",
     {"assistant @commentary | a"},
     {"unexpected_header_text"}},
    {"<|channel|>thoughts<|message|>a<|end|>", {"assistant @thoughts | a"}, {"unknown_channel"}},
    {" analysis<|message|>a<|end|>", {"assistant @analysis | a"}, {"channel_in_role_position"}},
    {"assistant<|channel|>final<|message|>a<|return|>",
     {"assistant @final | a"},
     {"repeated_role"}},
    // Recipients.
    {" to=functions.f<|channel|>commentary<|message|>{}<|call|>",
     {"assistant to=functions.f @commentary | {}"},
     {}},
    {"<|channel|>commentary to=functions.f<|message|>{}<|call|>",
     {"assistant to=functions.f @commentary | {}"},
     {}},
    {"<|channel|>commentary functions.f json<|message|>{}<|call|>",
     {"assistant to=functions.f @commentary json | {}"},
     {"recipient_without_to"}},
    {"<|channel|>commentaryto=functions.f<|message|>{}<|call|>",
     {"assistant to=functions.f @commentary | {}"},
     {}},
    {" to=functions.a<|channel|>commentary to=functions.b<|message|>{}<|call|>",
     {"assistant to=functions.b @commentary | {}"},
     {"repeated_recipient"}},
    {"<|channel|>analysis to=functions.f<|message|>{}<|call|>",
     {"assistant to=functions.f @analysis | {}"},
     {"function_call_on_analysis"}},
    {"<|channel|>analysis to=python code<|message|>1<|call|>",
     {"assistant to=python @analysis code | 1"},
     {}},
    // <|constrain|>.
    {"<|channel|>commentary to=functions.f<|constrain|>json<|message|>{}<|call|>",
     {"assistant to=functions.f @commentary <|constrain|>json | {}"},
     {}},
    {"<|channel|>commentary to=functions.f <|constrain|> json<|message|>{}<|call|>",
     {"assistant to=functions.f @commentary <|constrain|>json | {}"},
     {"space_after_constrain"}},
    {"<|channel|>commentary <|constrain|>json to=functions.f<|message|>{}<|call|>",
     {"assistant to=functions.f @commentary <|constrain|>json | {}"},
     {}},
    // Text in the wrong place.
    {"I should call it.<|channel|>commentary to=functions.f<|message|>{}<|call|>",
     {"assistant | I should call it.", "assistant to=functions.f @commentary | {}"},
     {"text_before_header"}},
    {"x<|message|>y<|end|>", {"assistant | x", "assistant | y"}, {"text_before_header"}},
    {"<|channel|>final<|message|>a<|constrain|>b<|message|>c<|return|>",
     {"assistant @final | abc"},
     {"misplaced_marker", "misplaced_marker"}},
    {"<|channel|>final<|message|>a<|return|><|end|><|return|>",
     {"assistant @final | a"},
     {"stray_stop", "stray_stop"}},
    // Special tokens outside the format.
    {"<|channel|>final<|message|>a<|reserved_200014|>b<|return|>",
     {"assistant @final | ab"},
     {"unexpected_special"}},
    {"<|channel|>final<|message|>a<|endoftext|>", {"assistant @final | a"}, {"unexpected_special"}},
    {"<|channel|>final<|message|>a<|return|><|endoftext|>", {"assistant @final | a"}, {}},
    // The stream is cut.
    {"<|channel|>final<|message|>a", {"assistant @final | a"}, {"stream_cut"}},
    {"<|channel|>final<|message|>a<|channel|>fi",
     {"assistant @final | afi"},
     {"misplaced_marker", "stream_cut"}},
    {"<|channel|>commentary to=functions.f",
     {"assistant to=functions.f @commentary | "},
     {"stream_cut", "missing_message"}},
    {"<|channel|>final<|message|>a<|end|><|start|>assistant", {"assistant @final | a"}, {}},
};

INSTANTIATE_TEST_SUITE_P(Streams, LenientRepairTest, testing::ValuesIn(kRepairCases));

TEST(LenientParserTest, TextThatLooksLikeAMarkerIsTextInAHeaderToo) {
  std::vector<TokenId> tokens = tokens_of("<|channel|>commentary to=read");
  const auto lookalike = o200k_encoding().tokenizer().encode_ordinary("<|channel|>commentary");
  tokens.insert(tokens.end(), lookalike.begin(), lookalike.end());
  const auto rest = tokens_of("<|message|>{}<|call|>");
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  const auto stream = parse_stream(o200k_encoding(), tokens, {.role = Role::kAssistant});
  EXPECT_THAT(
      shown(stream.messages), ElementsAre("assistant to=read<|channel|>commentary @commentary | {}")
  );
}

TEST(LenientParserTest, UnknownIdsAreLeftOutAndCounted) {
  std::vector<TokenId> tokens = tokens_of("<|channel|>final<|message|>ok");
  tokens.push_back(4294967295U);
  tokens.push_back(300000);
  for (const TokenId token : tokens_of("still here<|return|>")) tokens.push_back(token);
  StreamParser parser(o200k_encoding(), {.role = Role::kAssistant});
  for (const TokenId token : tokens) parser.push(token);
  EXPECT_THAT(shown(parser.messages()), ElementsAre("assistant @final | okstill here"));
  EXPECT_EQ(parser.repair_counts()[static_cast<std::size_t>(Repair::kUnknownToken)], 2U);
}

TEST(LenientParserTest, ACharacterOfManyTokensComesWhole) {
  const auto tokens = o200k_encoding().tokenizer().encode_ordinary("💖");
  ASSERT_GT(tokens.size(), 1U);
  StreamParser parser(o200k_encoding(), {.role = Role::kAssistant});
  parser.push(o200k_encoding().id(Marker::kMessage));
  for (const TokenId token : std::span(tokens).first(tokens.size() - 1)) {
    EXPECT_THAT(parser.push(token), IsEmpty());
  }
  const auto events = parser.push(tokens.back());
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(std::get<TextAdded>(events[0]).text, "💖");
}

TEST(LenientParserTest, ACutCharacterDoesNotLeakIntoTheNextMessage) {
  const auto half = tokens_of("<|message|>");
  std::vector<TokenId> tokens(half.begin(), half.end());
  tokens.push_back(9552);  // " " and half an emoji
  for (const TokenId token : tokens_of("<|end|><|start|>assistant<|message|>b<|end|>")) {
    tokens.push_back(token);
  }
  const auto stream = parse_stream(o200k_encoding(), tokens, {.role = Role::kAssistant});
  EXPECT_THAT(shown(stream.messages), ElementsAre("assistant |  \uFFFD", "assistant | b"));
  EXPECT_THAT(names(stream.diagnostics), ElementsAre("invalid_utf8"));
}

TEST(LenientParserTest, EventsTellAMessageAsItComes) {
  StreamParser parser(o200k_encoding(), {.role = Role::kAssistant});
  std::vector<std::string> told;
  for (const TokenId token : tokens_of("<|channel|>final<|message|>Hello there<|return|>")) {
    for (const ParseEvent& event : parser.push(token)) {
      if (const auto* started = std::get_if<MessageStarted>(&event)) {
        told.push_back("start " + *parser.messages()[started->message].channel);
      } else if (const auto* added = std::get_if<TextAdded>(&event)) {
        told.push_back("text " + added->text);
      } else if (const auto* ended = std::get_if<MessageEnded>(&event)) {
        told.push_back("end " + std::string(marker_text(*ended->stop)));
      }
    }
  }
  EXPECT_THAT(told, ElementsAre("start final", "text Hello", "text  there", "end <|return|>"));
}

TEST(LenientParserTest, ADiagnosticSaysWhereAndWhat) {
  const auto stream = parse("<|channel|>commentary 2?<|message|>a<|end|>");
  ASSERT_EQ(stream.diagnostics.size(), 1U);
  EXPECT_EQ(
      stream.diagnostics[0],
      (Diagnostic{.repair = Repair::kUnexpectedHeaderText, .position = 6, .detail = "2?"})
  );
}

TEST(LenientParserTest, TextWithoutAHeaderStreamsOnceItIsTooLongForAHeader) {
  StreamParser parser(o200k_encoding(), {.role = Role::kAssistant});
  const auto tokens = tokens_of(" word");
  std::size_t num_tokens = 0;
  while (!parser.has_open_message() && num_tokens < 1000) {
    parser.push(tokens[0]);
    ++num_tokens;
  }
  EXPECT_LE(num_tokens, 128U);
  parser.push(tokens[0]);
  parser.finish();
  ASSERT_EQ(parser.messages().size(), 1U);
  EXPECT_EQ(parser.messages()[0].text().size(), 5 * (num_tokens + 1) - 1);
}

TEST(LenientParserTest, TakenMessagesLeaveTheOpenOneBehind) {
  StreamParser parser(o200k_encoding(), {.role = Role::kAssistant});
  for (const TokenId token : tokens_of("<|message|>a<|end|><|start|>assistant<|message|>b")) {
    parser.push(token);
  }
  EXPECT_THAT(shown(parser.take_messages()), ElementsAre("assistant | a"));
  for (const TokenId token : tokens_of("c<|end|>")) parser.push(token);
  EXPECT_THAT(shown(parser.take_messages()), ElementsAre("assistant | bc"));
  EXPECT_THAT(parser.messages(), IsEmpty());
}

}  // namespace
}  // namespace gossamer::harmony
