#include "api/chat_completions_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/chat/scripted_turn.h"

namespace gossamer::api {
namespace {

using chat::ScriptedTurn;
using engine::FinishReason;
using testing::StartsWith;

constexpr const char* kTools =
    R"({"tools":[{"type":"function","function":{"name":"get_weather"}},
    {"type":"custom","custom":{"name":"patch"}}]})";

/// What a strict client accumulates: throws, as a failed check, what openai's helper refuses.
struct StrictClient {
  std::string content;
  std::string reasoning;
  std::vector<Json> calls;
  std::string finish_reason;
  Json usage;
  bool has_role = false;

  void take(const Json& chunk) {
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    EXPECT_EQ(chunk["id"], "chatcmpl-1");
    EXPECT_EQ(chunk["model"], "m");
    EXPECT_EQ(chunk["created"], 7);
    ASSERT_TRUE(chunk["choices"].is_array());
    if (chunk.contains("usage") && !chunk["usage"].is_null()) {
      EXPECT_TRUE(chunk["choices"].empty());
      EXPECT_NE(finish_reason, "");
      usage = chunk["usage"];
      return;
    }
    ASSERT_EQ(chunk["choices"].size(), 1U);
    EXPECT_EQ(finish_reason, "") << "a chunk after the last: " << chunk;
    const Json& choice = chunk["choices"][0];
    EXPECT_EQ(choice["index"], 0);
    take_delta(choice["delta"]);
    if (!choice["finish_reason"].is_null()) finish_reason = choice["finish_reason"];
  }

  void take_delta(const Json& delta) {
    EXPECT_TRUE(has_role || delta.value("role", "") == "assistant");
    has_role = true;
    content += delta.value("content", "");
    reasoning += delta.value("reasoning", "");
    EXPECT_EQ(delta.value("reasoning", ""), delta.value("reasoning_content", ""));
    if (!delta.contains("tool_calls")) return;
    for (const Json& part : delta["tool_calls"]) {
      const auto index = part.at("index").get<std::size_t>();
      if (index == calls.size()) {
        EXPECT_THAT(part.at("id").get<std::string>(), StartsWith("call_"));
        calls.push_back(part);
      } else {
        ASSERT_LT(index, calls.size());
        EXPECT_FALSE(part.contains("id"));
        const char* type = part.contains("custom") ? "custom" : "function";
        const char* text = part.contains("custom") ? "input" : "arguments";
        calls[index][type][text].get_ref<std::string&>() += part[type][text].get<std::string>();
      }
    }
  }
};

class ChatCompletionsStreamTest : public testing::Test {
 protected:
  /// Plays a turn; gives what a client of the stream has in the end.
  StrictClient play(std::string_view text, FinishReason reason = FinishReason::kStop) {
    chat::TurnRequest turn_request;
    turn_request.conversation.messages = {harmony::Message::of_text(harmony::Role::kUser, "Hello")};
    turn_request.functions = request_.tools.recipients();
    turn_request.tools = {std::make_shared<chat::EchoTool>()};
    ScriptedTurn turn(std::move(turn_request));
    turn.generate(text, reason);
    while (turn.turn().pending_call() != nullptr) {
      turn.run_tool().generate("<|channel|>final<|message|>Echoed.<|return|>");
    }
    return deliver(turn);
  }

  StrictClient deliver(ScriptedTurn& turn) {
    const CompletionHead head{.id = "chatcmpl-1", .model = "m", .created = 7};
    ChatCompletionsStream stream(request_, chat::o200k_encoding().tokenizer(), head);
    StrictClient client;
    ChatCompletion whole;
    const auto take = [&](const ChatChunk& chunk) {
      client.take(Json::parse(stream.text_of(chunk)));
      whole.add(chunk);
    };
    take(stream.begin());
    for (const ChatChunk& chunk : stream.push(turn.events())) take(chunk);
    for (const ChatChunk& chunk : stream.finish(turn.turn().end(), turn.turn().usage()))
      take(chunk);
    object_ = whole.json(head, turn.turn().usage());
    return client;
  }

  void declare_tools() {
    const Json body = Json::parse(kTools);
    FirstError error;
    std::vector<std::string> warnings;
    read_tools(ObjectReader(body, "", error), request_.tools, warnings);
    ASSERT_FALSE(error);
  }

  ChatCompletionsRequest request_;
  Json object_;
};

TEST_F(ChatCompletionsStreamTest, ReasoningAndAnswerComeUnderTheirNames) {
  request_.include_usage = true;
  const auto client = play(
      "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Hello "
      "there!<|return|>"
  );
  EXPECT_EQ(client.reasoning, "hm");
  EXPECT_EQ(client.content, "Hello there!");
  EXPECT_EQ(client.finish_reason, "stop");
  EXPECT_EQ(client.usage["prompt_tokens_details"]["cached_tokens"], 3);
  EXPECT_GT(client.usage["completion_tokens_details"]["reasoning_tokens"], 0);
  EXPECT_EQ(
      client.usage["total_tokens"].get<int>(),
      client.usage["prompt_tokens"].get<int>() + client.usage["completion_tokens"].get<int>()
  );
  EXPECT_EQ(object_["usage"], client.usage);
  EXPECT_EQ(object_["object"], "chat.completion");
  const Json& choice = object_["choices"][0];
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_EQ(choice["message"]["content"], "Hello there!");
  EXPECT_EQ(choice["message"]["reasoning"], "hm");
  EXPECT_EQ(choice["message"]["reasoning_content"], "hm");
  EXPECT_FALSE(choice["message"].contains("tool_calls"));
  EXPECT_EQ(choice["finish_reason"], "stop");
}

TEST_F(ChatCompletionsStreamTest, UsageComesOnlyWhenItWasAskedFor) {
  EXPECT_TRUE(play("<|channel|>final<|message|>Hi<|return|>").usage.is_null());
}

TEST_F(ChatCompletionsStreamTest, APreambleIsContentAndACallAToolCall) {
  declare_tools();
  const auto client = play(
      "<|channel|>commentary<|message|>Let me look.<|end|><|start|>assistant<|channel|>commentary "
      "to=functions.get_weather <|constrain|>json<|message|>{\"city\":\"Paris\"}<|call|>"
  );
  EXPECT_EQ(client.content, "Let me look.");
  ASSERT_EQ(client.calls.size(), 1U);
  EXPECT_EQ(client.calls[0]["type"], "function");
  EXPECT_EQ(client.calls[0]["function"]["name"], "get_weather");
  EXPECT_EQ(client.calls[0]["function"]["arguments"], R"({"city":"Paris"})");
  EXPECT_EQ(client.finish_reason, "tool_calls");
  const Json& message = object_["choices"][0]["message"];
  EXPECT_EQ(message["content"], "Let me look.");
  ASSERT_EQ(message["tool_calls"].size(), 1U);
  EXPECT_EQ(message["tool_calls"][0]["function"]["arguments"], R"({"city":"Paris"})");
  EXPECT_FALSE(message["tool_calls"][0].contains("index"));
}

TEST_F(ChatCompletionsStreamTest, ACallWithoutTextHasNullContent) {
  declare_tools();
  play("<|channel|>commentary to=functions.get_weather<|message|>{}<|call|>");
  EXPECT_TRUE(object_["choices"][0]["message"]["content"].is_null());
}

TEST_F(ChatCompletionsStreamTest, ACustomToolGetsItsText) {
  declare_tools();
  const auto client = play(
      "<|channel|>commentary to=functions.patch <|constrain|>json<|message|>{\"input\":\"a\\nb\"}"
      "<|call|>"
  );
  ASSERT_EQ(client.calls.size(), 1U);
  EXPECT_EQ(client.calls[0]["type"], "custom");
  EXPECT_EQ(client.calls[0]["custom"]["name"], "patch");
  EXPECT_EQ(client.calls[0]["custom"]["input"], "a\nb");
  EXPECT_EQ(object_["choices"][0]["message"]["tool_calls"][0]["custom"]["input"], "a\nb");
}

TEST_F(ChatCompletionsStreamTest, ACallThatIsCutSaysSo) {
  declare_tools();
  const auto client =
      play("<|channel|>commentary to=functions.get_weather<|message|>{\"ci", FinishReason::kLength);
  EXPECT_EQ(client.finish_reason, "length");
  ASSERT_EQ(client.calls.size(), 1U);
  EXPECT_EQ(client.calls[0]["function"]["arguments"], "{\"ci");
}

TEST_F(ChatCompletionsStreamTest, CallsOfTheServersToolsAreNotShown) {
  const auto client = play(
      "<|channel|>commentary<|message|>Moment.<|end|><|start|>assistant<|channel|>commentary "
      "to=echo.say<|message|>hi<|call|>"
  );
  EXPECT_EQ(client.content, "Moment.\n\nEchoed.");
  EXPECT_TRUE(client.calls.empty());
  EXPECT_EQ(client.finish_reason, "stop");
}

TEST_F(ChatCompletionsStreamTest, LogprobsAreThoseOfTheContent) {
  request_.logprobs = true;
  play(
      "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Hello "
      "there!<|return|>"
  );
  const Json& tokens = object_["choices"][0]["logprobs"]["content"];
  std::string text;
  for (const Json& token : tokens) text += token["token"].get<std::string>();
  EXPECT_EQ(text, "Hello there!");
  EXPECT_EQ(tokens[0]["logprob"], -0.5);
}

TEST_F(ChatCompletionsStreamTest, AnEmptyTurnIsStillAnAnswer) {
  const auto client = play("", FinishReason::kLength);
  EXPECT_EQ(client.finish_reason, "length");
  EXPECT_EQ(object_["choices"][0]["message"]["content"], "");
}

}  // namespace
}  // namespace gossamer::api
