#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/token_id.h"

namespace gossamer::kernels {

/// What a sequence's history and its request's bias do to one token's logit, applied in this order:
/// bias added; repetition_penalty, if the token was seen, divides a positive logit and multiplies
/// others; frequency_penalty * count subtracted; presence_penalty subtracted if count > 0.
struct LogitAdjustment {
  TokenId token;
  std::int32_t count;  // in the output
  std::int32_t seen;   // in prompt or output
  float bias;
};

/// How to choose one row's token. Applied in this order: adjustments, mask, temperature, top_k,
/// top_p, min_p; ties at an edge go to the lowest id.
struct SampleRow {
  double temperature = 1.0;  // 0: the largest, ties to the lowest id
  int top_k = 0;             // 0: all
  double top_p = 1.0;
  double min_p = 0.0;
  double repetition_penalty = 1.0;
  double frequency_penalty = 0.0;
  double presence_penalty = 0.0;
  /// In [0, 1): the token is the one whose stretch of the kept weights, in order of ids, it falls
  /// on.
  double number = 0.0;
  int num_top = 0;                               // how many of the likeliest tokens to report
  std::span<const LogitAdjustment> adjustments;  // one a token
  std::span<const std::uint64_t> allowed;  // bit i % 64 of [i / 64]: token i may come; empty: all
};

struct TokenLogprob {
  TokenId token;
  double logprob;

  bool operator==(const TokenLogprob&) const = default;
};

/// Log-probabilities are of the logits as they are: natural, over the whole vocabulary, before
/// adjustments, mask and temperature.
struct SampleResult {
  TokenId token = 0;
  double logprob = 0;
  std::vector<TokenLogprob> top;  // best first, ties to the lowest id
};

}  // namespace gossamer::kernels
