#pragma once

#include <span>

#include "api/error.h"
#include "engine/token_choice.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::api {

/// Tokens with their log-probabilities, in the form that both APIs have: [{"token", "bytes",
/// "logprob", "top_logprobs": [{"token", "bytes", "logprob"}]}].
Json logprobs_json(
    std::span<const engine::SampledToken> tokens, const tokenizer::Tokenizer& tokenizer
);

}  // namespace gossamer::api
