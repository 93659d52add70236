#include "api/sampling.h"

#include <gtest/gtest.h>

namespace gossamer::api {
namespace {

engine::SamplingParams read(std::string_view text, FirstError& error) {
  const Json json = Json::parse(text);
  return read_sampling(ObjectReader(json, "", error));
}

TEST(Sampling, AnEmptyRequestKeepsWhatTheModelRecommends) {
  FirstError error;
  const auto params = read("{}", error);
  EXPECT_FALSE(error);
  EXPECT_EQ(params.temperature, 1.0);
  EXPECT_EQ(params.top_p, 1.0);
  EXPECT_EQ(params.seed, std::nullopt);
}

TEST(Sampling, EveryFieldIsRead) {
  FirstError error;
  const auto params = read(
      R"({"temperature":0,"top_p":0.5,"top_k":-1,"min_p":0.1,"repetition_penalty":1.1,
          "frequency_penalty":-2,"presence_penalty":2,"seed":-1,"top_logprobs":20,
          "logit_bias":{"42":-100,"7":1.5}})",
      error
  );
  EXPECT_FALSE(error);
  EXPECT_EQ(params.temperature, 0.0);
  EXPECT_EQ(params.top_p, 0.5);
  EXPECT_EQ(params.top_k, 0);
  EXPECT_EQ(params.min_p, 0.1);
  EXPECT_EQ(params.repetition_penalty, 1.1);
  EXPECT_EQ(params.frequency_penalty, -2.0);
  EXPECT_EQ(params.presence_penalty, 2.0);
  EXPECT_EQ(params.seed, ~std::uint64_t{0});
  EXPECT_EQ(params.top_logprobs, 20);
  ASSERT_EQ(params.logit_bias.size(), 2U);
  EXPECT_EQ(params.logit_bias[0], (std::pair<TokenId, double>(42, -100.0)));
}

TEST(Sampling, ValuesOutOfRangeAreNamed) {
  const auto param = [](std::string_view text) {
    FirstError error;
    (void)read(text, error);
    return error ? error->param : "";
  };
  EXPECT_EQ(param(R"({"temperature":2.1})"), "temperature");
  EXPECT_EQ(param(R"({"top_p":-0.1})"), "top_p");
  EXPECT_EQ(param(R"({"presence_penalty":3})"), "presence_penalty");
  EXPECT_EQ(param(R"({"top_logprobs":21})"), "top_logprobs");
  EXPECT_EQ(param(R"({"seed":"abc"})"), "seed");
  EXPECT_EQ(param(R"({"logit_bias":{"x":1}})"), "logit_bias.x");
  EXPECT_EQ(param(R"({"logit_bias":{"1":101}})"), "logit_bias.1");
}

}  // namespace
}  // namespace gossamer::api
