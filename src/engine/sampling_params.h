#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/token_id.h"

namespace gossamer::engine {

/// How to choose the next token. Applied in this order: logit bias, penalties, mask, temperature,
/// top_k, top_p, min_p. The defaults are the model's recommended ones: sample from the distribution
/// as it is.
struct SamplingParams {
  double temperature = 1.0;  ///< 0: always the most likely token; else logits are divided by it
  int top_k = 0;             ///< keep the k most likely; 0: all
  double top_p = 1.0;        ///< keep the most likely that together reach p; 1: all
  double min_p = 0.0;        ///< drop those less likely than min_p times the most likely
  double repetition_penalty = 1.0;  ///< shrinks logits of tokens in prompt or output; 1: off
  double frequency_penalty = 0.0;   ///< subtracted for each time a token is in the output
  double presence_penalty = 0.0;    ///< subtracted once when a token is in the output
  std::vector<std::pair<TokenId, double>> logit_bias;  ///< added to a token's logit
  std::optional<std::uint64_t> seed;                   ///< same seed, same output
  int top_logprobs = 0;  ///< how many of the likeliest tokens to report with each token
};

/// Refuses values that make no sense, with a message that names the parameter and its range.
Status validate(const SamplingParams& params, int vocab_size);

}  // namespace gossamer::engine
