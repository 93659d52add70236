#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harmony/message_json.h"
#include "harmony/stream_parser.h"
#include "tests/harmony/golden.h"

namespace gossamer::harmony {
namespace {

using nlohmann::ordered_json;

ParserOptions strict(std::optional<Role> role) {
  return {.mode = ParseMode::kStrict, .role = role};
}

std::optional<Role> role_of(const ordered_json& item) {
  if (item["role"].is_null()) return std::nullopt;
  return role_from_name(item["role"].get<std::string>());
}

ordered_json json_of(const std::vector<Message>& messages) {
  ordered_json list = ordered_json::array();
  for (const Message& message : messages) {
    list.push_back(ordered_json::parse(message_to_json(message)));
  }
  return list;
}

/// What each token adds to the content; null for nothing, and up to the first error.
ordered_json deltas_of(const std::vector<TokenId>& tokens, const ParserOptions& options) {
  StreamParser parser(o200k_encoding(), options);
  ordered_json deltas = ordered_json::array();
  for (const TokenId token : tokens) {
    ordered_json delta;
    for (const ParseEvent& event : parser.push(token)) {
      if (std::holds_alternative<FormatError>(event)) return deltas;
      if (const auto* added = std::get_if<TextAdded>(&event)) delta = added->text;
    }
    deltas.push_back(delta);
  }
  return deltas;
}

TEST(StrictParserTest, EveryStrictRecordingGivesTheReferencesMessagesAndErrors) {
  int num_cases = 0;
  for (const auto& item : golden_json("harmony_parse.json")) {
    if (item["strict"] != true) continue;
    ++num_cases;
    const auto tokens = item["tokens"].get<std::vector<TokenId>>();
    const ParsedStream stream = parse_stream(o200k_encoding(), tokens, strict(role_of(item)));
    const std::string error = item.contains("error") ? item["error"].get<std::string>() : "";
    const ordered_json& messages = item[error.empty() ? "messages" : "messages_before_error"];
    EXPECT_EQ(stream.error.value_or(""), error) << item["text"];
    // Order of keys apart: the recordings were made in another one.
    EXPECT_EQ(nlohmann::json(json_of(stream.messages)), nlohmann::json(messages)) << item["text"];
    EXPECT_TRUE(stream.diagnostics.empty());
  }
  EXPECT_GT(num_cases, 30);
}

TEST(StrictParserTest, EveryStrictRecordingGivesTheReferencesDeltas) {
  for (const auto& item : golden_json("harmony_parse.json")) {
    if (item["strict"] != true) continue;
    const auto tokens = item["tokens"].get<std::vector<TokenId>>();
    ordered_json deltas = deltas_of(tokens, strict(role_of(item)));
    // The end flushes incomplete bytes: a delta of ours, which the recordings leave out.
    ordered_json expected = item["deltas"];
    ASSERT_EQ(deltas.size(), expected.size()) << item["text"];
    const bool ends_in_stop = !tokens.empty() && o200k_encoding().marker_of(tokens.back());
    if (ends_in_stop && !deltas.empty()) deltas.back() = nullptr;
    EXPECT_EQ(deltas, expected) << item["text"];
  }
}

TEST(StrictParserTest, TheStreamsOfTheReferenceTestsParse) {
  const auto reasoning = parse_stream(
      o200k_encoding(),
      golden_tokens("test_simple_reasoning_response.txt"),
      strict(Role::kAssistant)
  );
  ASSERT_EQ(reasoning.messages.size(), 2U);
  EXPECT_EQ(reasoning.messages[0].channel, "analysis");
  EXPECT_EQ(reasoning.messages[1].channel, "final");
  EXPECT_EQ(reasoning.messages[1].text(), "2 + 2 = 4.");

  const auto call = parse_stream(
      o200k_encoding(), golden_tokens("test_simple_tool_call.txt"), strict(Role::kAssistant)
  );
  ASSERT_EQ(call.messages.size(), 2U);
  EXPECT_EQ(call.messages[1].recipient, "lookup_weather");
  EXPECT_EQ(call.messages[1].channel, "analysis");
  EXPECT_EQ(call.messages[1].content_type, "code");
  EXPECT_EQ(call.messages[1].text(), R"({"location": "Tokyo"})");

  const auto tokens = tokens_of(golden_text("test_streamable_parser.txt"));
  const auto stream = parse_stream(o200k_encoding(), tokens, strict(Role::kAssistant));
  ASSERT_EQ(stream.messages.size(), 3U);
  EXPECT_EQ(stream.messages[1].recipient, "browser.search");
  EXPECT_EQ(stream.messages[1].content_type, "code");
  EXPECT_EQ(stream.messages[2].role, Role::kTool);
  EXPECT_EQ(stream.messages[2].name, "browser.search");
  EXPECT_EQ(stream.messages[2].recipient, "assistant");
}

TEST(StrictParserTest, AFailedHeaderLeavesTheParserWaitingForTheNextStart) {
  StreamParser parser(o200k_encoding(), strict(Role::kAssistant));
  std::size_t num_errors = 0;
  for (const TokenId token :
       tokens_of("a b c d<|message|><|start|>assistant<|message|>ok<|end|>")) {
    for (const ParseEvent& event : parser.push(token)) {
      if (std::holds_alternative<FormatError>(event)) ++num_errors;
    }
  }
  EXPECT_EQ(num_errors, 1U);
  ASSERT_EQ(parser.messages().size(), 1U);
  EXPECT_EQ(parser.messages()[0].text(), "ok");
}

TEST(StrictParserTest, AHeaderThatIsNotUtf8IsAnError) {
  std::vector<TokenId> tokens = {9552};  // " " and half an emoji
  const auto rest = tokens_of("<|message|>x<|end|>");
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  const auto stream = parse_stream(o200k_encoding(), tokens, strict(Role::kAssistant));
  EXPECT_EQ(stream.error, "could not decode header");
}

}  // namespace
}  // namespace gossamer::harmony
