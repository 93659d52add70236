#include "api/tokenize.h"

#include <gtest/gtest.h>

#include "tests/chat/scripted_turn.h"

namespace gossamer::api {
namespace {

ApiResult<Json> ask(const std::string& json) {
  return tokenize(Json::parse(json), chat::o200k_encoding(), {.date = "2026-01-02"}, 4096);
}

std::string param_of(const ApiResult<Json>& result) {
  return result.ok() ? "accepted" : result.error().param;
}

ApiResult<Json> detokenized(const std::string& json) {
  return detokenize(Json::parse(json), chat::o200k_encoding().tokenizer());
}

TEST(TokenizeTest, APromptIsTextUnlessSpecialTokensAreAskedFor) {
  const auto plain = ask(R"({"model":"m","prompt":"Hi <|end|>","add_special_tokens":true})");
  ASSERT_TRUE(plain.ok());
  const auto& tokenizer = chat::o200k_encoding().tokenizer();
  EXPECT_EQ((*plain)["tokens"], Json(tokenizer.encode_ordinary("Hi <|end|>")));
  EXPECT_EQ((*plain)["count"], (*plain)["tokens"].size());
  EXPECT_EQ((*plain)["max_model_len"], 4096);
  EXPECT_TRUE((*plain)["token_strs"].is_null());
  EXPECT_EQ(*ask(R"({"text":"Hi <|end|>"})"), *plain);
  EXPECT_EQ(*ask(R"({"content":"Hi <|end|>"})"), *plain);
  const auto special =
      ask(R"({"prompt":"Hi <|end|>","parse_special":true,"return_token_strs":true})");
  EXPECT_EQ((*special)["tokens"], Json(chat::tokens_of("Hi <|end|>")));
  EXPECT_EQ((*special)["token_strs"], Json({"Hi", " ", "<|end|>"}));
}

TEST(TokenizeTest, MessagesAreThePromptThatChatCompletionsMake) {
  const std::string messages = R"("messages":[{"role":"user","content":"Hi"}])";
  const auto open = ask("{" + messages + "}");
  ASSERT_TRUE(open.ok());
  const std::string text = chat::text_of((*open)["tokens"].get<std::vector<TokenId>>());
  EXPECT_TRUE(text.ends_with("<|start|>user<|message|>Hi<|end|><|start|>assistant")) << text;
  const auto closed = ask("{" + messages + R"(,"add_generation_prompt":false})");
  EXPECT_EQ((*closed)["count"].get<int>(), (*open)["count"].get<int>() - 2);
}

TEST(TokenizeTest, WhatIsWrongIsNamed) {
  EXPECT_EQ(param_of(ask("{}")), "prompt");
  EXPECT_EQ(param_of(ask(R"({"prompt":3})")), "prompt");
  EXPECT_EQ(param_of(ask(R"({"messages":[{}]})")), "messages[0].role");
  EXPECT_EQ(param_of(ask(R"({"prompt":"a","return_token_strs":"no"})")), "return_token_strs");
  EXPECT_EQ(param_of(detokenized("{}")), "tokens");
  EXPECT_EQ(param_of(detokenized(R"({"tokens":"a"})")), "tokens");
  EXPECT_EQ(param_of(detokenized(R"({"tokens":[1,"a"]})")), "tokens[1]");
  EXPECT_EQ(param_of(detokenized(R"({"tokens":[-1]})")), "tokens[0]");
  EXPECT_EQ(param_of(detokenized(R"({"tokens":[999999]})")), "tokens[0]");
  EXPECT_EQ(param_of(detokenized(R"({"tokens":[99999999999999999999]})")), "tokens[0]");
}

TEST(TokenizeTest, TokensBecomeTextAgain) {
  const std::string text = "Grüße 🦩 <|end|>";
  const auto tokens = ask(Json{{"prompt", text}}.dump());
  EXPECT_EQ((*detokenized(Json{{"tokens", (*tokens)["tokens"]}}.dump()))["prompt"], text);
  EXPECT_EQ((*detokenized(R"({"tokens":[200006]})"))["prompt"], "<|start|>");
  EXPECT_EQ((*detokenized(R"({"tokens":[]})"))["prompt"], "");
}

}  // namespace
}  // namespace gossamer::api
