#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/token_id.h"
#include "engine/logits.h"
#include "kernels/sampling.h"

namespace gossamer::engine {

/// A chosen token, with the likeliest that were asked for.
using SampledToken = kernels::SampleResult;

/// Room to choose a token in, kept from one to the next. One thread at a time.
struct ChoiceScratch {
  struct Candidate {
    TokenId token;
    double weight;  // as in weights
  };
  std::vector<float> adjusted;  // [vocab_size]
  std::vector<double> weights;  // [vocab_size], exp((logit - largest) / temperature)
  std::vector<Candidate> candidates;
};

/// Chooses from a row of logits on the host, in double precision: what Backend::sample does where
/// it can.
SampledToken choose_token(
    std::span<const float> logits, const kernels::SampleRow& row, ChoiceScratch& scratch
);

}  // namespace gossamer::engine
