#include "engine/sampling_params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace gossamer::engine {
namespace {

using testing::HasSubstr;

TEST(SamplingParamsTest, TheDefaultsAreValid) {
  EXPECT_TRUE(validate({}, 100).ok());
}

TEST(SamplingParamsTest, EachBadValueIsNamedWithItsRange) {
  const auto error = [](auto change) {
    SamplingParams params;
    change(params);
    const Status status = validate(params, 100);
    return status.ok() ? std::string("accepted") : status.error().message;
  };
  EXPECT_THAT(error([](auto& p) { p.temperature = -1; }), HasSubstr("temperature is -1"));
  EXPECT_THAT(
      error([](auto& p) { p.temperature = std::numeric_limits<double>::quiet_NaN(); }),
      HasSubstr("temperature is nan")
  );
  EXPECT_THAT(
      error([](auto& p) { p.top_p = 1.5; }), HasSubstr("top_p is 1.5; it must be between 0 and 1")
  );
  EXPECT_THAT(error([](auto& p) { p.top_k = -1; }), HasSubstr("top_k"));
  EXPECT_THAT(error([](auto& p) { p.min_p = 2; }), HasSubstr("min_p"));
  EXPECT_THAT(error([](auto& p) { p.repetition_penalty = 0; }), HasSubstr("repetition_penalty"));
  EXPECT_THAT(error([](auto& p) { p.frequency_penalty = 1e9; }), HasSubstr("frequency_penalty"));
  EXPECT_THAT(error([](auto& p) { p.presence_penalty = -1e9; }), HasSubstr("presence_penalty"));
  EXPECT_THAT(error([](auto& p) { p.top_logprobs = 101; }), HasSubstr("top_logprobs"));
  EXPECT_THAT(error([](auto& p) { p.logit_bias = {{100, 1.0}}; }), HasSubstr("token 100"));
  EXPECT_THAT(
      error([](auto& p) {
        p.logit_bias = {{1, std::numeric_limits<double>::infinity()}};
      }),
      HasSubstr("finite")
  );
}

}  // namespace
}  // namespace gossamer::engine
