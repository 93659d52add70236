#pragma once

#include <span>
#include <vector>

#include "base/token_id.h"
#include "kernels/sampling.h"

namespace gossamer::engine {

using kernels::TokenLogprob;

/// The index of the largest, ties to the lowest.
TokenId argmax(std::span<const float> logits);

/// log(sum(exp(logits))), accumulated in double.
double log_sum_exp(std::span<const float> logits);

/// out[i] = exp((logits[i] - largest) / temperature), to 1e-15 of itself or to 1e-307, whichever is
/// more. Returns their sum. No logit is larger than `largest`; temperature is positive.
double exponentials(
    std::span<const float> logits, double largest, double temperature, std::span<double> out
);

/// The `count` largest logits as log-probabilities, best first, ties to the lowest id.
std::vector<TokenLogprob> top_logprobs(std::span<const float> logits, double log_sum, int count);

}  // namespace gossamer::engine
