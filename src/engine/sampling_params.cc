#include "engine/sampling_params.h"

#include <cmath>
#include <string_view>

namespace gossamer::engine {
namespace {

struct Range {
  std::string_view name;
  double value;
  double low;
  double high;
};

}  // namespace

Status validate(const SamplingParams& params, int vocab_size) {
  const Range ranges[] = {
      {"temperature", params.temperature, 0.0, 100.0},
      {"top_k", static_cast<double>(params.top_k), 0.0, 1e9},
      {"top_p", params.top_p, 0.0, 1.0},
      {"min_p", params.min_p, 0.0, 1.0},
      {"repetition_penalty", params.repetition_penalty, 0.01, 100.0},
      {"frequency_penalty", params.frequency_penalty, -100.0, 100.0},
      {"presence_penalty", params.presence_penalty, -100.0, 100.0},
      {"top_logprobs",
       static_cast<double>(params.top_logprobs),
       0.0,
       static_cast<double>(vocab_size)},
  };
  for (const Range& range : ranges) {
    if (range.value >= range.low && range.value <= range.high) continue;  // NaN fails too
    return make_error(
        ErrorCode::kInvalidArgument,
        "{} is {}; it must be between {} and {}",
        range.name,
        range.value,
        range.low,
        range.high
    );
  }
  for (const auto& [token, bias] : params.logit_bias) {
    if (token >= static_cast<TokenId>(vocab_size)) {
      return make_error(
          ErrorCode::kInvalidArgument,
          "logit_bias names token {}; this model has tokens 0 to {}",
          token,
          vocab_size - 1
      );
    }
    if (!std::isfinite(bias)) {
      return make_error(
          ErrorCode::kInvalidArgument, "logit_bias of token {} is not a finite number", token
      );
    }
  }
  return {};
}

}  // namespace gossamer::engine
