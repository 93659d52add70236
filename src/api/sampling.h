#pragma once

#include "api/json_reader.h"
#include "engine/sampling_params.h"

namespace gossamer::api {

/// Reads how to sample, as every API here names it: temperature (0 to 2), top_p, frequency_penalty
/// and presence_penalty (-2 to 2), seed, top_logprobs (0 to 20), logit_bias (token id -> -100 to
/// 100), and what other local servers take too: top_k, min_p, repetition_penalty. What is absent
/// keeps the model's recommended value.
engine::SamplingParams read_sampling(const ObjectReader& request);

}  // namespace gossamer::api
