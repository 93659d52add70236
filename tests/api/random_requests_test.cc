// Whatever JSON a client sends, reading it gives a request or an error for the client, and what was
// read can be made a prompt.

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "api/chat_completions_request.h"
#include "api/completion_options.h"
#include "api/completions_request.h"
#include "api/tokenize.h"
#include "tests/chat/scripted_turn.h"

namespace gossamer::api {
namespace {

constexpr std::array kWords = {
    "messages",
    "role",
    "content",
    "type",
    "text",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "user",
    "assistant",
    "system",
    "tool",
    "auto",
    "required",
    "none",
    "tool_choice",
    "tools",
    "stop",
    "n",
    "logprobs",
    "top_logprobs",
    "prompt",
    "stream",
    "stream_options",
    "include_usage",
    "response_format",
    "json_schema",
    "schema",
    "max_tokens",
    "temperature",
    "logit_bias",
    "seed",
    "reasoning_effort",
    "custom",
    "input",
    "allowed_tools",
    "mode",
    "echo",
    "tokens",
    "",
    "0",
    "-1",
    "f",
    "parameters",
    "description",
    "image_url",
    "tool_call_id",
    "reasoning",
    "\xF0\x9F\xA6\xA9"};

class RandomJson {
 public:
  explicit RandomJson(unsigned seed) : random_(seed) {}

  Json value(int depth) {
    switch (random_() % (depth > 0 ? 9 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return random_() % 2 == 0;
      case 2:
        return static_cast<int>(random_() % 7) - 2;
      case 3:
        return (static_cast<double>(random_() % 1000) - 500) * (random_() % 9 == 0 ? 1e300 : 0.1);
      case 4:
      case 5:
        return word();
      case 6:
        return array(depth);
      default:
        return object(depth);
    }
  }

  Json object(int depth) {
    Json json = Json::object();
    for (auto i = random_() % 8; i > 0; --i) json[word()] = value(depth - 1);
    return json;
  }

  /// Changes one thing somewhere in a request that is all right.
  void damage(Json& json) {
    if (json.is_structured() && !json.empty() && random_() % 4 != 0) {
      auto place = json.begin();
      std::advance(place, random_() % json.size());
      return damage(*place);
    }
    json = value(2);
  }

 private:
  std::string word() { return kWords[random_() % kWords.size()]; }

  Json array(int depth) {
    Json json = Json::array();
    for (auto i = random_() % 5; i > 0; --i) json.push_back(value(depth - 1));
    return json;
  }

  std::mt19937 random_;
};

template <class T>
bool expect_request_or_400(const ApiResult<T>& result, const Json& body) {
  if (result.ok()) return true;
  EXPECT_EQ(result.error().status, 400) << body;
  EXPECT_FALSE(result.error().message.empty()) << body;
  return false;
}

bool read_everything(const Json& body) {
  const auto chat = read_chat_completions_request(body, {.model = "m"});
  if (expect_request_or_400(chat, body)) {
    auto turn = chat::Turn::create(chat::o200k_encoding(), chat->turn);
    EXPECT_TRUE(turn.ok()) << body << turn.error().message;
    EXPECT_FALSE(turn.ok() && !turn->next_generation().ok()) << body;
  }
  const auto completions = read_completions_request(body, "m");
  if (expect_request_or_400(completions, body)) {
    const auto made =
        make_engine_requests(*completions, chat::o200k_encoding().tokenizer(), {200002});
    expect_request_or_400(made, body);
  }
  expect_request_or_400(tokenize(body, chat::o200k_encoding(), {}, 100), body);
  expect_request_or_400(detokenize(body, chat::o200k_encoding().tokenizer()), body);
  return chat.ok();
}

const Json& good_request() {
  static const Json request =
      Json::parse(R"({"model":"m","messages":[{"role":"system","content":"s"},
    {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{}}]},
    {"role":"assistant","content":"b","reasoning":"r","tool_calls":[{"id":"c","type":"function",
     "function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"d"}],
    "tools":[{"type":"function","function":{"name":"f","description":"x","parameters":{"type":
     "object","properties":{"a":{"type":"string","enum":["x"]}}}}},{"type":"custom","custom":{"name":
     "p"}}],"tool_choice":{"type":"function","function":{"name":"f"}},"response_format":{"type":
     "json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},"stop":["x"],"logprobs":
     true,"top_logprobs":3,"logit_bias":{"5":1},"stream":true,"stream_options":{"include_usage":
     true},"max_tokens":5,"temperature":1,"seed":3,"reasoning_effort":"low","user":"u",
     "prompt":["a",[1,2]],"tokens":[1,2]})");
  return request;
}

TEST(RandomRequestsTest, ArbitraryJsonIsReadOrRefused) {
  for (unsigned seed = 0; seed < 3000; ++seed) read_everything(RandomJson(seed).object(4));
}

TEST(RandomRequestsTest, DamagedRequestsAreReadOrRefused) {
  ASSERT_TRUE(read_everything(good_request()));
  int num_accepted = 0;
  for (unsigned seed = 0; seed < 4000; ++seed) {
    Json body = good_request();
    RandomJson(seed).damage(body);
    if (read_everything(body)) ++num_accepted;
  }
  EXPECT_GT(num_accepted, 200);
  EXPECT_LT(num_accepted, 3800);
}

TEST(CompletionOptionsTest, LogprobsThatJsonCannotHoldAreOpenAisLowest) {
  EXPECT_EQ(finite_logprob(-1.5), -1.5);
  EXPECT_EQ(finite_logprob(-INFINITY), -9999.0);
  EXPECT_EQ(finite_logprob(NAN), -9999.0);
}

}  // namespace
}  // namespace gossamer::api
