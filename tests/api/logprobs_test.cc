#include "api/logprobs.h"

#include <gtest/gtest.h>

#include <limits>

#include "turn_events.h"

namespace gossamer::api {
namespace {

TEST(Logprobs, PartsOfCharactersKeepTheirBytes) {
  const auto& tokenizer = o200k_encoding().tokenizer();
  const auto tokens = tokenizer.encode_ordinary("\U0001F9FF");
  ASSERT_GT(tokens.size(), 1U);
  const engine::SampledToken sampled{.token = tokens[0], .logprob = -1.5, .top = {}};
  const Json json = logprobs_json({&sampled, 1}, tokenizer);
  EXPECT_EQ(json[0]["bytes"][0], 0xF0);
  EXPECT_EQ(json[0]["token"].get<std::string>(), "\uFFFD");
  EXPECT_EQ(json[0]["logprob"], -1.5);
  EXPECT_EQ(json[0]["top_logprobs"].dump(), "[]");
}

TEST(Logprobs, WhatCannotComeIsANumberAllTheSame) {
  const double lowest = -std::numeric_limits<double>::infinity();
  const engine::SampledToken sampled{.token = 1, .logprob = lowest, .top = {{2, lowest}}};
  const Json json = logprobs_json({&sampled, 1}, o200k_encoding().tokenizer());
  EXPECT_EQ(json[0]["logprob"], -9999.0);
  EXPECT_EQ(json[0]["top_logprobs"][0]["logprob"], -9999.0);
}

}  // namespace
}  // namespace gossamer::api
