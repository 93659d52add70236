#include "harmony/message_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harmony/builtin_tools.h"
#include "tests/harmony/golden.h"

namespace gossamer::harmony {
namespace {

using testing::HasSubstr;

std::string error_of(std::string_view json) {
  const auto conversation = conversation_from_json(json);
  return conversation.ok() ? "no error" : conversation.error().message;
}

TEST(MessageJsonTest, AStringIsOneTextItem) {
  const auto message = message_from_json(R"({"role":"user","content":"hi"})");
  ASSERT_TRUE(message.ok()) << message.error().message;
  EXPECT_EQ(*message, Message::of_text(Role::kUser, "hi"));
}

TEST(MessageJsonTest, OneTextItemIsWrittenAsAString) {
  EXPECT_EQ(
      message_to_json(Message::of_text(Role::kUser, "hi \"there\"\n")),
      R"({"role":"user","content":"hi \"there\"\n"})"
  );
}

TEST(MessageJsonTest, SeveralItemsAreWrittenAsAList) {
  Message message = Message::of_text(Role::kUser, "a");
  message.content.emplace_back(TextContent{"b"});
  EXPECT_EQ(
      message_to_json(message),
      R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]})"
  );
}

TEST(MessageJsonTest, EveryFieldSurvivesTheWayThereAndBack) {
  Conversation conversation;
  Message system;
  system.role = Role::kSystem;
  SystemContent content = SystemContent::defaults();
  content.conversation_start_date = "2025-06-28";
  content.tools = Tools{{"browser", browser_tool()}, {"python", python_tool()}};
  system.content.emplace_back(content);
  Message developer;
  developer.role = Role::kDeveloper;
  DeveloperContent instructions;
  instructions.instructions = "Be brief.";
  instructions.tools = Tools{
      {"functions", function_tools({{"f", "does f", R"({"type":"object","b":1.0,"a":[]})"}})}};
  instructions.response_formats = {{"answer", "what to say", R"({"type":"object"})"}};
  developer.content.emplace_back(instructions);
  Message call = Message::of_text(Role::kAssistant, "{}");
  call.recipient = "functions.f";
  call.channel = "commentary";
  call.content_type = "<|constrain|>json";
  Message result = Message::of_text(Role::kTool, "Ärger 😀");
  result.name = "functions.f";
  result.recipient = "assistant";
  conversation.messages = {system, developer, call, result};

  const auto back = conversation_from_json(conversation_to_json(conversation));
  ASSERT_TRUE(back.ok()) << back.error().message;
  const auto& tools = *std::get<SystemContent>(back->messages[0].content[0]).tools;
  EXPECT_EQ(tools.at("browser").functions[0].name, "search");
  EXPECT_EQ(conversation_to_json(*back), conversation_to_json(conversation));
  EXPECT_EQ(back->messages[1], developer);
  EXPECT_EQ(back->messages[2], call);
  EXPECT_EQ(back->messages[3], result);
}

TEST(MessageJsonTest, AMissingKeyAndNullMeanAbsent) {
  const auto message = message_from_json(
      R"({"role":"system","name":null,"content":[{"type":"system_content","tools":null}]})"
  );
  ASSERT_TRUE(message.ok()) << message.error().message;
  EXPECT_EQ(std::get<SystemContent>(message->content[0]), SystemContent());
}

TEST(MessageJsonTest, ErrorsNameTheirPlace) {
  EXPECT_EQ(error_of(R"({})"), "messages: missing");
  EXPECT_EQ(error_of(R"([])"), "the input: must be an object: {\"messages\": […]}");
  EXPECT_EQ(error_of(R"({"messages":[{}]})"), "messages[0].role: missing");
  EXPECT_EQ(
      error_of(R"({"messages":[{"role":"user","content":[{"type":"text","text":1}]}]})"),
      "messages[0].content[0].text: must be a string"
  );
  EXPECT_EQ(
      error_of(R"({"messages":[{"role":"user","content":[{"type":"image"}]}]})"),
      "messages[0].content[0].type: must be \"text\", \"system_content\" or "
      "\"developer_content\", not \"image\""
  );
  EXPECT_THAT(error_of(R"({"messages":[{"role":"robot"}]})"), HasSubstr("messages[0].role: must"));
  EXPECT_THAT(error_of("{"), HasSubstr("conversation: not JSON"));
}

}  // namespace
}  // namespace gossamer::harmony
