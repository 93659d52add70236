#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/completions_request.h"
#include "api/completions_stream.h"
#include "tests/chat/scripted_turn.h"

namespace gossamer::api {
namespace {

using engine::FinishReason;
using testing::ElementsAre;

const tokenizer::Tokenizer& tokenizer() {
  return chat::o200k_encoding().tokenizer();
}

ApiResult<CompletionsRequest> try_read(const std::string& json) {
  return read_completions_request(Json::parse(json), "demo");
}

CompletionsRequest read(const std::string& json) {
  auto request = try_read(json);
  EXPECT_TRUE(request.ok()) << request.error().message;
  return request.ok() ? *std::move(request) : CompletionsRequest();
}

std::vector<engine::Request> engine_requests(const CompletionsRequest& request) {
  auto made = make_engine_requests(request, tokenizer(), {200002});
  EXPECT_TRUE(made.ok());
  return made.ok() ? *std::move(made) : std::vector<engine::Request>();
}

TEST(CompletionsRequestTest, APromptIsATextTokensOrAListOfEither) {
  EXPECT_THAT(read(R"({"prompt":"Hi"})").prompts, ElementsAre(CompletionPrompt("Hi")));
  EXPECT_THAT(
      read(R"({"prompt":["a","b"]})").prompts,
      ElementsAre(CompletionPrompt("a"), CompletionPrompt("b"))
  );
  EXPECT_THAT(
      read(R"({"prompt":[1,2]})").prompts, ElementsAre(CompletionPrompt(std::vector<TokenId>{1, 2}))
  );
  EXPECT_EQ(read(R"({"prompt":[[1,2],[3]]})").prompts.size(), 2U);
}

TEST(CompletionsRequestTest, TheEngineGetsOneRequestAPrompt) {
  const auto requests = engine_requests(read(
      R"({"prompt":["Hi <|start|>",[1,2]],"max_tokens":5,"temperature":0,"logprobs":2,"user":"u"})"
  ));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].prompt, tokenizer().encode_ordinary("Hi <|start|>"));
  EXPECT_EQ(requests[1].prompt, (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(requests[0].max_tokens, 5);
  EXPECT_EQ(requests[0].sampling.temperature, 0);
  EXPECT_EQ(requests[0].sampling.top_logprobs, 2);
  EXPECT_EQ(requests[0].user, "u");
  EXPECT_EQ(requests[0].mask, nullptr);
  EXPECT_THAT(requests[0].stop_tokens, ElementsAre(200002U));
  EXPECT_EQ(engine_requests(read(R"({"prompt":"a"})"))[0].max_tokens, 16);
}

TEST(CompletionsRequestTest, SpecialTokensAndTextsPastTheirEndCanBeAskedFor) {
  const auto requests =
      engine_requests(read(R"({"prompt":"<|start|>user","parse_special":true,"ignore_eos":true})"));
  EXPECT_EQ(requests[0].prompt, chat::tokens_of("<|start|>user"));
  EXPECT_TRUE(requests[0].stop_tokens.empty());
}

TEST(CompletionsRequestTest, APromptWithoutTokensIsAnError) {
  for (const char* json :
       {R"({"prompt":""})", R"({"prompt":["a",""]})", R"({"prompt":[[1],[]]})"}) {
    const auto made = make_engine_requests(read(json), tokenizer(), {});
    ASSERT_FALSE(made.ok()) << json;
    EXPECT_EQ(made.error().param, "prompt");
  }
}

TEST(CompletionsRequestTest, EveryMalformedFieldIsA400ThatNamesIt) {
  for (const auto& [json, param] : std::vector<std::pair<std::string, std::string>>{
           {R"({})", "prompt"},
           {R"({"prompt":3})", "prompt"},
           {R"({"prompt":[]})", "prompt"},
           {R"({"prompt":{}})", "prompt"},
           {R"({"prompt":[1,"a"]})", "prompt[1]"},
           {R"({"prompt":[-1]})", "prompt[0]"},
           {R"({"prompt":[1e30]})", "prompt[0]"},
           {R"({"prompt":["a",3]})", "prompt[1]"},
           {R"({"prompt":[[1],["a"]]})", "prompt[1][0]"},
           {R"({"prompt":"a","max_tokens":0})", "max_tokens"},
           {R"({"prompt":"a","n":2})", "n"},
           {R"({"prompt":"a","best_of":2})", "best_of"},
           {R"({"prompt":"a","suffix":"b"})", "suffix"},
           {R"({"prompt":"a","logprobs":21})", "logprobs"},
           {R"({"prompt":"a","logprobs":2,"echo":true,"max_tokens":-1})", "max_tokens"},
           {R"({"prompt":"a","echo":"loud"})", "echo"},
           {R"({"prompt":"a","stop":{}})", "stop"},
           {R"({"prompt":"a","stream":3})", "stream"},
           {R"({"prompt":"a","temperature":-1})", "temperature"},
       }) {
    const auto request = try_read(json);
    ASSERT_FALSE(request.ok()) << json;
    EXPECT_EQ(request.error().param, param) << json;
    EXPECT_EQ(request.error().status, 400);
  }
}

/// Plays a continuation for each prompt; the text of each is what was sampled.
Json play(
    const CompletionsRequest& request,
    const std::vector<std::string>& texts,
    FinishReason reason = FinishReason::kStop
) {
  const auto requests = engine_requests(request);
  const CompletionHead head{.id = "cmpl-1", .model = "m", .created = 7};
  CompletionsStream stream(request, requests, tokenizer(), head);
  Completion whole(requests.size());
  const auto take = [&](const std::vector<Json>& chunks) {
    for (const Json& chunk : chunks) {
      EXPECT_EQ(chunk["object"], "text_completion");
      whole.add(chunk);
    }
  };
  take(stream.begin());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    for (const TokenId token : chat::tokens_of(texts[i])) {
      if (stream.is_stopped(i)) break;
      take(stream.push(i, {.token = token, .logprob = -0.5, .top = {{token, -0.5}, {1, -2}}}));
    }
    take(stream.finish(i, reason, 1));
  }
  const auto last = stream.finish();
  EXPECT_EQ(last.size(), request.include_usage ? 1U : 0U);
  for (const Json& chunk : last) EXPECT_TRUE(chunk["choices"].empty());
  return whole.json(head, stream.usage());
}

TEST(CompletionsStreamTest, EveryPromptIsAChoice) {
  auto request = read(R"({"prompt":["Hi","Ho"],"stream_options":{"include_usage":true}})");
  const Json whole = play(request, {" there 🦩<|return|>", " ho"}, FinishReason::kLength);
  EXPECT_EQ(whole["choices"][0]["text"], " there 🦩");
  EXPECT_EQ(whole["choices"][1]["text"], " ho");
  EXPECT_EQ(whole["choices"][1]["index"], 1);
  EXPECT_EQ(whole["choices"][1]["finish_reason"], "length");
  EXPECT_TRUE(whole["choices"][1]["logprobs"].is_null());
  EXPECT_EQ(whole["usage"]["prompt_tokens"], 2);
  EXPECT_EQ(whole["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
}

TEST(CompletionsStreamTest, ThePromptIsRepeatedWhenAskedFor) {
  const Json whole = play(read(R"({"prompt":["Hi",[9906]],"echo":true})"), {"!", "?"});
  EXPECT_EQ(whole["choices"][0]["text"], "Hi!");
  EXPECT_EQ(whole["choices"][1]["text"], tokenizer().decode(std::vector<TokenId>{9906}) + "?");
}

TEST(CompletionsStreamTest, AStopTextEndsAChoice) {
  const Json whole = play(read(R"({"prompt":"Hi","stop":"now what"})"), {" and now what is it"});
  EXPECT_EQ(whole["choices"][0]["text"], " and ");
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "stop");
}

TEST(CompletionsRequestTest, AScoredPromptIsSampledByForce) {
  const auto tokens = tokenizer().encode_ordinary("one two three");
  ASSERT_EQ(tokens.size(), 3U);
  const auto request =
      read(R"({"prompt":"one two three","echo":true,"logprobs":1,"max_tokens":0})");
  const auto requests = engine_requests(request);
  EXPECT_THAT(requests[0].prompt, ElementsAre(tokens[0]));
  EXPECT_EQ(requests[0].max_tokens, 2);
  std::vector<std::uint64_t> bits(tokenizer().vocab_size() / 64 + 1, ~0ULL);
  for (const TokenId token : {tokens[1], tokens[2]}) {
    ASSERT_TRUE(requests[0].mask->fill(bits));
    for (std::size_t i = 0; i < bits.size(); ++i) {
      EXPECT_EQ(bits[i], i == token / 64 ? std::uint64_t{1} << token % 64 : 0);
    }
    requests[0].mask->accept(token);
  }
  EXPECT_FALSE(requests[0].mask->fill(bits));
  const auto ending =
      engine_requests(read(R"({"prompt":[5,200002,6],"echo":true,"logprobs":0,"max_tokens":1})"));
  EXPECT_TRUE(ending[0].stop_tokens.empty());
  const auto single = make_engine_requests(
      read(R"({"prompt":[5],"echo":true,"logprobs":0,"max_tokens":0})"), tokenizer(), {}
  );
  EXPECT_FALSE(single.ok());
}

TEST(CompletionsStreamTest, AScoredPromptComesWithItsLogprobsAndThenItsContinuation) {
  const auto request = read(
      R"({"prompt":"one two three","echo":true,"logprobs":1,"max_tokens":4,"stop":["two","!"]})"
  );
  const Json whole = play(request, {" two three four! five"});
  const Json& choice = whole["choices"][0];
  EXPECT_EQ(choice["text"], "one two three four");
  EXPECT_EQ(choice["logprobs"]["tokens"], Json({"one", " two", " three", " four"}));
  EXPECT_EQ(choice["logprobs"]["token_logprobs"], Json({nullptr, -0.5, -0.5, -0.5}));
  EXPECT_TRUE(choice["logprobs"]["top_logprobs"][0].is_null());
  EXPECT_EQ(choice["logprobs"]["text_offset"], Json({0, 3, 7, 13}));
  EXPECT_EQ(whole["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(whole["usage"]["completion_tokens"], 2);
}

TEST(CompletionsStreamTest, HarmonyIsNotReadHere) {
  const Json whole = play(read(R"({"prompt":"Hi"})"), {"<|channel|>final<|message|>a<|return|>"});
  EXPECT_EQ(whole["choices"][0]["text"], "<|channel|>final<|message|>a");
}

TEST(CompletionsStreamTest, LogprobsComeInTheOldForm) {
  const Json whole = play(read(R"({"prompt":"Hi","logprobs":2})"), {" é, b"});
  const Json& logprobs = whole["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json({" é", ",", " b"}));
  EXPECT_EQ(logprobs["token_logprobs"], Json({-0.5, -0.5, -0.5}));
  EXPECT_EQ(logprobs["text_offset"], Json({0, 2, 3}));
  EXPECT_EQ(logprobs["top_logprobs"][2][" b"], -0.5);
  EXPECT_EQ(logprobs["top_logprobs"][2]["\""], -2);
}

}  // namespace
}  // namespace gossamer::api
