#include "api/chat_completions_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/clock_tool.h"

namespace gossamer::api {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

ChatDefaults defaults() {
  return {.model = "demo", .date = "2026-01-02", .tools = {std::make_shared<tools::ClockTool>()}};
}

Json body_with(const std::string& fields) {
  Json body = {{"messages", Json::array({{{"role", "user"}, {"content", "Hi"}}})}};
  body.update(Json::parse("{" + fields + "}"));
  return body;
}

ChatCompletionsRequest read(const std::string& fields) {
  auto request = read_chat_completions_request(body_with(fields), defaults());
  EXPECT_TRUE(request.ok()) << request.error().message;
  return request.ok() ? *std::move(request) : ChatCompletionsRequest();
}

std::string param_of(const std::string& fields) {
  const auto request = read_chat_completions_request(body_with(fields), defaults());
  if (request.ok()) return "accepted";
  EXPECT_EQ(request.error().status, 400);
  EXPECT_THAT(request.error().message, StartsWith(request.error().param));
  return request.error().param;
}

constexpr const char* kTools =
    R"("tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":
    "object","properties":{"a":{"type":"string"}}}}},{"type":"function","function":{"name":"g"}}])";

const harmony::DeveloperContent& developer_of(const ChatCompletionsRequest& request) {
  return std::get<harmony::DeveloperContent>(request.turn.conversation.messages.at(1).content.front(
  ));
}

const harmony::SystemContent& system_of(const ChatCompletionsRequest& request) {
  return std::get<harmony::SystemContent>(request.turn.conversation.messages.at(0).content.front());
}

TEST(ChatCompletionsRequestTest, APlainRequestHasASystemMessageAndItsMessages) {
  const auto request = read("");
  EXPECT_THAT(request.id, StartsWith("chatcmpl-"));
  EXPECT_EQ(request.model, "demo");
  EXPECT_FALSE(request.stream);
  ASSERT_EQ(request.turn.conversation.messages.size(), 2U);
  EXPECT_EQ(system_of(request).conversation_start_date, "2026-01-02");
  EXPECT_EQ(system_of(request).reasoning_effort, harmony::ReasoningEffort::kMedium);
  EXPECT_TRUE(system_of(request).tools->contains("clock"));
  EXPECT_EQ(request.turn.tools.size(), 1U);
  EXPECT_EQ(request.turn.max_tokens, std::nullopt);
}

TEST(ChatCompletionsRequestTest, OptionsAreRead) {
  const auto request = read(
      R"("model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":7,
      "temperature":0.5,"top_p":0.9,"top_k":5,"min_p":0.1,"frequency_penalty":1,
      "presence_penalty":-1,"seed":3,"logit_bias":{"5":-100},"stop":["a","","b"],"logprobs":true,
      "top_logprobs":4,"user":"u","n":1,"metadata":{"a":"b"},"store":true,"reasoning_effort":"high",
      "parallel_tool_calls":false,"some_new_field":{"x":1},"service_tier":"auto")"
  );
  EXPECT_EQ(request.model, "m");
  EXPECT_TRUE(request.stream);
  EXPECT_TRUE(request.include_usage);
  EXPECT_TRUE(request.logprobs);
  EXPECT_EQ(request.turn.max_tokens, 7);
  EXPECT_EQ(request.turn.sampling.temperature, 0.5);
  EXPECT_EQ(request.turn.sampling.top_k, 5);
  EXPECT_EQ(request.turn.sampling.top_logprobs, 4);
  EXPECT_EQ(request.turn.sampling.seed, 3U);
  EXPECT_THAT(request.turn.stop, ElementsAre("a", "b"));
  EXPECT_EQ(request.turn.user, "u");
  EXPECT_EQ(system_of(request).reasoning_effort, harmony::ReasoningEffort::kHigh);
  EXPECT_EQ(read(R"("max_completion_tokens":9,"max_tokens":7)").turn.max_tokens, 9);
  EXPECT_THAT(read(R"("stop":"x")").turn.stop, ElementsAre("x"));
  EXPECT_THAT(read(R"("stop":null)").turn.stop, IsEmpty());
  EXPECT_EQ(read(R"("top_logprobs":4)").turn.sampling.top_logprobs, 0);
  EXPECT_EQ(
      system_of(read(R"("chat_template_kwargs":{"reasoning_effort":"minimal"})")).reasoning_effort,
      harmony::ReasoningEffort::kLow
  );
}

TEST(ChatCompletionsRequestTest, ToolsAreDeclaredAndMayBeCalled) {
  const auto request = read(kTools);
  EXPECT_THAT(request.turn.functions, ElementsAre("functions.f", "functions.g"));
  EXPECT_EQ(request.turn.tool_choice, chat::ToolChoice::kAuto);
  EXPECT_EQ(developer_of(request).tools->at("functions").functions.size(), 2U);
}

TEST(ChatCompletionsRequestTest, TheToolChoiceSaysWhatMayBeCalled) {
  const auto with = [](const std::string& choice) {
    return read(std::string(kTools) + R"(,"tool_choice":)" + choice);
  };
  const auto none = with("\"none\"");
  EXPECT_EQ(none.turn.tool_choice, chat::ToolChoice::kNone);
  EXPECT_THAT(none.turn.tools, IsEmpty());
  EXPECT_EQ(none.turn.conversation.messages.at(1).role, harmony::Role::kUser);
  EXPECT_EQ(system_of(none).tools, std::nullopt);
  const auto required = with("\"required\"");
  EXPECT_EQ(required.turn.tool_choice, chat::ToolChoice::kRequired);
  EXPECT_THAT(required.turn.functions, ElementsAre("functions.f", "functions.g"));
  EXPECT_THAT(required.turn.tools, IsEmpty());
  const auto named = with(R"({"type":"function","function":{"name":"g"}})");
  EXPECT_EQ(named.turn.tool_choice, chat::ToolChoice::kRequired);
  EXPECT_THAT(named.turn.functions, ElementsAre("functions.g"));
  const auto allowed = with(
      R"({"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function",
      "function":{"name":"f"}}]}})"
  );
  EXPECT_EQ(allowed.turn.tool_choice, chat::ToolChoice::kAuto);
  EXPECT_THAT(allowed.turn.functions, ElementsAre("functions.f"));
  EXPECT_EQ(developer_of(allowed).tools->at("functions").functions.size(), 2U);
}

TEST(ChatCompletionsRequestTest, TheResponseFormatIsShownToTheModel) {
  const auto schema = read(
      R"("response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d",
      "strict":true,"schema":{"type":"object"}}})"
  );
  EXPECT_THAT(
      developer_of(schema).response_formats,
      ElementsAre(harmony::ResponseFormat{"n", "d", R"({"type":"object"})"})
  );
  EXPECT_EQ(
      developer_of(read(R"("response_format":{"type":"json_object"})")).response_formats.size(), 1U
  );
  EXPECT_EQ(read(R"("response_format":{"type":"text"})").turn.conversation.messages.size(), 2U);
}

TEST(ChatCompletionsRequestTest, EveryMalformedFieldIsA400ThatNamesIt) {
  for (const auto& [fields, param] : std::vector<std::pair<std::string, std::string>>{
           {R"("messages":"Hi")", "messages"},
           {R"("model":3)", "model"},
           {R"("stream":"maybe")", "stream"},
           {R"("stream_options":true)", "stream_options"},
           {R"("stream_options":{"include_usage":[]})", "stream_options.include_usage"},
           {R"("max_tokens":0)", "max_tokens"},
           {R"("max_completion_tokens":-1)", "max_completion_tokens"},
           {R"("temperature":"hot")", "temperature"},
           {R"("temperature":3)", "temperature"},
           {R"("top_p":2)", "top_p"},
           {R"("frequency_penalty":5)", "frequency_penalty"},
           {R"("seed":1.5)", "seed"},
           {R"("logit_bias":[])", "logit_bias"},
           {R"("logit_bias":{"x":1})", "logit_bias.x"},
           {R"("stop":3)", "stop"},
           {R"("stop":["a",3])", "stop[1]"},
           {R"("logprobs":"some")", "logprobs"},
           {R"("top_logprobs":21,"logprobs":true)", "top_logprobs"},
           {R"("n":2)", "n"},
           {R"("n":0)", "n"},
           {R"("user":3)", "user"},
           {R"("metadata":"x")", "metadata"},
           {R"("functions":[])", "functions"},
           {R"("tools":{})", "tools"},
           {R"("tools":[{"type":"function"}])", "tools[0].name"},
           {R"("tools":[{"type":"function","function":{"name":3}}])", "tools[0].function.name"},
           {R"("tool_choice":"sometimes")", "tool_choice"},
           {R"("tool_choice":"required")", "tool_choice"},
           {R"("tool_choice":{"type":"function","function":{"name":"x"}})",
            "tool_choice.function.name"},
           {R"("response_format":"json")", "response_format"},
           {R"("response_format":{"type":"xml"})", "response_format.type"},
           {R"("response_format":{"type":"json_schema"})", "response_format.json_schema"},
           {R"("response_format":{"type":"json_schema","json_schema":{}})",
            "response_format.json_schema.schema"},
       }) {
    EXPECT_EQ(param_of(fields), param) << fields;
  }
}

}  // namespace
}  // namespace gossamer::api
