#include "api/responses_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "api/responses_conversation.h"

namespace gossamer::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ApiResult<ResponsesRequest> read(const std::string& body) {
  auto json = parse_body(body);
  if (!json.ok()) return json.error();
  return read_responses_request(*json, {.model = "gpt-oss-20b", .server_namespaces = {"clock"}});
}

ResponsesRequest read_ok(const std::string& body) {
  auto request = read(body);
  EXPECT_TRUE(request.ok()) << body << request.error().message;
  return request.ok() ? std::move(request).value() : ResponsesRequest{};
}

std::string param_of(const std::string& body) {
  const auto request = read(body);
  return request.ok() ? "accepted" : request.error().param;
}

/// The only item of an input of one item.
Json item_of(const std::string& item) {
  const auto request = read_ok(R"({"input":[)" + item + "]}");
  return request.input.size() == 1 ? request.input[0] : Json();
}

TEST(ResponsesRequest, AShortRequestGetsDefaults) {
  const auto request = read_ok(R"({"input":"hi"})");
  EXPECT_EQ(request.model, "gpt-oss-20b");
  EXPECT_TRUE(request.store);
  EXPECT_FALSE(request.stream);
  EXPECT_EQ(request.max_output_tokens, std::nullopt);
  EXPECT_THAT(request.warnings, IsEmpty());
  ASSERT_EQ(request.input.size(), 1U);
  EXPECT_EQ(request.input[0]["role"].dump(), "\"user\"");
  EXPECT_EQ(request.input[0]["content"].dump(), R"([{"type":"input_text","text":"hi"}])");
  EXPECT_TRUE(request.input[0]["id"].get<std::string>().starts_with("msg_"));
}

TEST(ResponsesRequest, ProbesWithAnEmptyInputAreAnswered) {
  const auto request =
      read_ok(R"({"model":"openai/gpt-oss-20b","input":"","max_output_tokens":1})");
  EXPECT_EQ(request.max_output_tokens, 1);
  EXPECT_EQ(request.input.size(), 1U);
}

TEST(ResponsesRequest, WhatClientsSendBesidesIsAccepted) {
  const auto request = read_ok(R"({
    "input":"x","metadata":{"a":1},"client_metadata":{"x":"y"},"user":"u","safety_identifier":"s",
    "service_tier":"auto","prompt_cache_key":"k","prompt_cache_retention":"24h",
    "prompt_cache_options":{"mode":"x"},"truncation":"auto","max_tool_calls":3,"top_logprobs":2,
    "stream_options":{"include_obfuscation":false},"moderation":{},"include":["a","b",7],
    "parallel_tool_calls":true,"session_id":"z","response_id":"q","reasoning_effort":"whatever"})");
  EXPECT_EQ(request.user, "s");
  EXPECT_TRUE(request.truncates);
  EXPECT_EQ(request.max_tool_calls, 3);
  EXPECT_TRUE(request.includes_logprobs);
  EXPECT_EQ(request.warnings.size(), 1U) << "reasoning_effort only";
}

TEST(ResponsesRequest, UnknownFieldsAreIgnoredWithAWarning) {
  EXPECT_THAT(
      read_ok(R"({"input":"x","frobnicate":1})").warnings, ElementsAre(HasSubstr("frobnicate"))
  );
}

TEST(ResponsesRequest, NullsAreAbsent) {
  const auto request = read_ok(R"({
    "input":"x","instructions":null,"tools":null,"tool_choice":null,"metadata":null,"stream":null,
    "max_output_tokens":null,"temperature":null,"reasoning":null,"text":null,"store":null,
    "previous_response_id":null,"include":null,"truncation":null,"user":null,"background":null})");
  EXPECT_TRUE(request.store);
  EXPECT_EQ(request.echo["metadata"].dump(), "{}");
  EXPECT_EQ(request.echo["tool_choice"].dump(), "\"auto\"");
}

TEST(ResponsesRequest, NumbersMayBeStrings) {
  EXPECT_EQ(read_ok(R"({"input":"x","max_output_tokens":"5"})").max_output_tokens, 5);
}

TEST(ResponsesRequest, MessagesNeedNoTypeAndNoId) {
  EXPECT_EQ(item_of(R"({"role":"user","content":"weather?"})")["type"].dump(), "\"message\"");
  EXPECT_EQ(
      item_of(
          R"({"id":"msg_7","type":"message","role":"developer","content":[{"type":"input_text","text":"a"}]})"
      )["id"]
          .dump(),
      "\"msg_7\""
  );
  const Json assistant = item_of(R"({"role":"assistant","content":"b","phase":"commentary"})");
  EXPECT_EQ(assistant["content"][0]["type"].dump(), "\"output_text\"");
  EXPECT_EQ(assistant["phase"].dump(), "\"commentary\"");
}

TEST(ResponsesRequest, EveryKindOfPartIsUnderstood) {
  const auto request = read_ok(R"({"input":[{"role":"user","content":[
    "plain",{"type":"input_text","text":"a"},{"type":"text","text":"b"},{"type":"output_text","text":"c"},
    {"type":"summary_text","text":"d"},{"type":"refusal","refusal":"e"},
    {"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"high"},
    {"type":"input_file","filename":"f.pdf","file_data":"AAAA"},{"type":"novelty"}]}]})");
  EXPECT_EQ(
      text_of_parts(request.input[0]["content"]),
      "plain\na\nb\nc\nd\ne\n[an image that this model cannot see]\n[a file that was not read: "
      "f.pdf]"
  );
  EXPECT_EQ(request.input[0].dump().find("AAAA"), std::string::npos);
  EXPECT_EQ(request.warnings.size(), 3U);
}

TEST(ResponsesRequest, ReasoningComesBackInAnyShape) {
  EXPECT_EQ(
      item_of(
          R"({"id":"rs_1","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"t"}]})"
      )["content"][0]["text"]
          .dump(),
      "\"t\""
  );
  const Json bare = item_of(
      R"({"type":"reasoning","status":"completed","started_at":1,"duration":2,"attributes":{}})"
  );
  EXPECT_EQ(bare["content"].dump(), "[]");
  EXPECT_FALSE(bare.contains("duration"));
  EXPECT_EQ(
      item_of(R"({"type":"reasoning","summary":[],"content":null,"encrypted_content":"blob"})"
      )["encrypted_content"]
          .dump(),
      "\"blob\""
  );
}

TEST(ResponsesRequest, CallsAndOutputsAreUnderstood) {
  const Json call =
      item_of(R"({"type":"function_call","call_id":"","name":"f","arguments":"{}","namespace":"n"})"
      );
  EXPECT_EQ(call["namespace"].dump(), "\"n\"");
  EXPECT_TRUE(call["id"].get<std::string>().starts_with("fc_"));
  EXPECT_EQ(
      item_of(R"({"type":"function_call","name":"f","arguments":{"a":1}})")["arguments"].dump(),
      R"("{\"a\":1}")"
  );
  EXPECT_EQ(
      item_of(R"({"type":"custom_tool_call","call_id":"c","name":"p","input":"x"})")["input"].dump(
      ),
      "\"x\""
  );
  EXPECT_EQ(
      item_of(R"({"type":"function_call_output","call_id":"c","output":"o"})")["output"].dump(),
      "\"o\""
  );
  EXPECT_EQ(
      text_of_parts(item_of(R"({"type":"custom_tool_call_output","call_id":"c","output":[
          {"type":"input_text","text":"a"},{"type":"input_image","image_url":"x"}]})")["output"]),
      "a\n[an image that this model cannot see]"
  );
  EXPECT_EQ(
      item_of(R"({"type":"function_call_output","call_id":"c","output":{"a":1}})")["output"].dump(),
      R"("{\"a\":1}")"
  );
}

TEST(ResponsesRequest, ItemsOfUnknownTypesAreLeftOutWithAWarning) {
  const auto request = read_ok(R"({"input":[{"type":"compaction","encrypted_content":"x"},
    {"type":"additional_tools","tools":[]},{"type":"local_shell_call"},{"role":"user","content":"x"}]})"
  );
  EXPECT_EQ(request.input.size(), 1U);
  EXPECT_EQ(request.warnings.size(), 3U);
}

TEST(ResponsesRequest, ReferencesAreResolvedOrLeftOutWithAWarning) {
  auto request = read_ok(
      R"({"input":[{"type":"item_reference","id":"msg_a"},{"id":"msg_b"},{"role":"user","content":"x"}]})"
  );
  ASSERT_EQ(request.input.size(), 3U);
  resolve_references(
      request.input,
      [](const std::string& id) -> std::optional<Json> {
        if (id != "msg_b") return std::nullopt;
        return Json{{"id", id}, {"type", "message"}, {"role", "assistant"}};
      },
      request.warnings
  );
  ASSERT_EQ(request.input.size(), 2U);
  EXPECT_EQ(request.input[0]["role"].dump(), "\"assistant\"");
  EXPECT_THAT(request.warnings, ElementsAre(HasSubstr("msg_a")));
}

TEST(ResponsesRequest, ErrorsNameTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "input"},
      {R"({"input":7})", "input"},
      {R"({"input":[7]})", "input[0]"},
      {R"({"input":[{}]})", "input[0].type"},
      {R"({"input":[{"role":"user","content":"x"},{"role":"narrator","content":"x"}]})",
       "input[1].role"},
      {R"({"input":[{"role":"user","content":7}]})", "input[0].content"},
      {R"({"input":[{"role":"user","content":[{"type":"input_text","text":7}]}]})",
       "input[0].content[0].text"},
      {R"({"input":[{"role":"user","content":[7]}]})", "input[0].content[0]"},
      {R"({"input":[{"type":"function_call","arguments":"{}"}]})", "input[0].name"},
      {R"({"input":[{"type":"function_call","name":"f","arguments":7}]})", "input[0].arguments"},
      {R"({"input":"x","model":7})", "model"},
      {R"({"input":"x","stream":"yes"})", "stream"},
      {R"({"input":"x","temperature":3})", "temperature"},
      {R"({"input":"x","temperature":"hot"})", "temperature"},
      {R"({"input":"x","max_output_tokens":0})", "max_output_tokens"},
      {R"({"input":"x","max_output_tokens":1.5})", "max_output_tokens"},
      {R"({"input":"x","top_p":2})", "top_p"},
      {R"({"input":"x","reasoning":{"effort":"frantic"}})", "reasoning.effort"},
      {R"({"input":"x","truncation":"some"})", "truncation"},
      {R"({"input":"x","metadata":[]})", "metadata"},
      {R"({"input":"x","include":"y"})", "include"},
      {R"({"input":"x","text":{"format":{"type":"yaml"}}})", "text.format.type"},
      {R"({"input":"x","text":{"format":{"type":"json_schema","name":"n"}}})",
       "text.format.schema"},
      {R"({"input":"x","tools":[{"type":"web_search"}]})", "tools[0].type"},
      {R"({"input":"x","tool_choice":"required"})", "tool_choice"},
      {R"({"input":"x","conversation":"conv_1"})", "conversation"},
      {R"({"input":"x","prompt":{"id":"p"}})", "prompt"},
      {R"({"input":"x","background":true,"store":false})", "background"},
      {R"({"input":"x","previous_response_id":7})", "previous_response_id"},
  };
  for (const auto& [body, param] : cases) EXPECT_EQ(param_of(body), param) << body;
}

TEST(ResponsesRequest, AChainGivesItsItemsAndInstructions) {
  const EarlierResponse first{
      .response = Json::parse(R"({"instructions":"I1","output":[{"id":"b","type":"message"}]})"),
      .input = Json::parse(R"([{"id":"a","type":"message"}])")};
  auto request = read_ok(R"({"input":"x","previous_response_id":"resp_1"})");
  const Items items = continue_chain({&first, 1}, request);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[1]["id"].dump(), "\"b\"");
  EXPECT_EQ(request.instructions, "I1");
  EXPECT_EQ(request.echo["instructions"].dump(), "\"I1\"");
  auto own = read_ok(R"({"input":"x","instructions":"I2"})");
  (void)continue_chain({&first, 1}, own);
  EXPECT_EQ(own.instructions, "I2");
}

TEST(ResponsesRequest, TruncationTakesTheOldestTurnAndKeepsTheRules) {
  auto request = read_ok(R"({"input":[{"role":"system","content":"s"},{"role":"user","content":"1"},
    {"role":"assistant","content":"2"},{"role":"developer","content":"d"},{"role":"user","content":"3"},
    {"type":"function_call","name":"f","call_id":"c","arguments":"{}"}]})");
  EXPECT_TRUE(drop_oldest_turn(request.input));
  ASSERT_EQ(request.input.size(), 4U);
  EXPECT_EQ(text_of_parts(request.input[2]["content"]), "3");
  EXPECT_FALSE(drop_oldest_turn(request.input));
  Items none;
  EXPECT_FALSE(drop_oldest_turn(none));
}

/// A value of random shape, rich in the words that requests are made of.
class RandomJson {
 public:
  explicit RandomJson(unsigned seed) : random_(seed) {}

  Json value(int depth) {
    switch (random_() % (depth > 0 ? 8 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return static_cast<int>(random_() % 5) - 1;
      case 2:
        return 0.5;
      case 3:
        return random_() % 2 == 0;
      case 4:
      case 5:
        return word();
      case 6: {
        Json list = Json::array();
        for (unsigned n = random_() % 4; n > 0; --n) list.push_back(value(depth - 1));
        return list;
      }
      default: {
        Json object = Json::object();
        for (unsigned n = random_() % 6; n > 0; --n) object[word()] = value(depth - 1);
        return object;
      }
    }
  }

  std::string word() {
    const char* words[] = {
        "input",
        "type",
        "role",
        "content",
        "text",
        "id",
        "name",
        "tools",
        "function",
        "custom",
        "namespace",
        "message",
        "user",
        "assistant",
        "system",
        "reasoning",
        "effort",
        "low",
        "function_call",
        "arguments",
        "call_id",
        "output",
        "function_call_output",
        "custom_tool_call",
        "input_text",
        "input_image",
        "mcp_call",
        "tool_choice",
        "allowed_tools",
        "required",
        "mode",
        "auto",
        "format",
        "json_schema",
        "schema",
        "include",
        "error",
        "server_label",
        "code_interpreter_call",
        "outputs",
        "code",
        "encrypted_content",
        "parameters",
        "metadata",
        "item_reference",
        "web_search_call",
        "action",
        "stream",
        "temperature",
        "logit_bias",
        "phase"};
    return words[random_() % std::size(words)];
  }

 private:
  std::mt19937 random_;
};

TEST(ResponsesRequest, RandomRequestsAreReadOrRefusedAndNeverThrow) {
  int num_read = 0;
  for (unsigned seed = 0; seed < 20'000; ++seed) {
    RandomJson random(seed);
    Json body = Json::object();
    for (int n = 0; n < 4; ++n) body[random.word()] = random.value(3);
    Json items = Json::array();
    for (int n = 0; n < 2; ++n) {
      Json item = random.value(3);
      if (item.is_object() && !item.contains("type")) item["type"] = random.word();
      items.push_back(std::move(item));
    }
    if (!body.contains("input")) body["input"] = items;
    auto request = read_responses_request(body, {.model = "m", .server_namespaces = {}});
    if (!request.ok()) {
      EXPECT_EQ(request.error().status, 400);
      EXPECT_FALSE(request.error().message.empty());
      continue;
    }
    ++num_read;
    (void)build_conversation(
        *request, request->input, {.date = "2025-01-01", .tools = {}}, request->warnings
    );
    (void)request->echo.dump();
    // What was stored by anyone is read without trust.
    std::vector<std::string> warnings;
    const std::vector<Json> raw(items.begin(), items.end());
    (void)build_conversation(*request, raw, {.date = "2025-01-01", .tools = {}}, warnings);
  }
  EXPECT_GT(num_read, 200);
}

}  // namespace
}  // namespace gossamer::api
