#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/logits.h"
#include "kernels/backend.h"
#include "model/config.h"
#include "model/weights.h"

namespace gossamer::engine {

/// What the model thought at one position of a text.
struct ScoredPosition {
  int position = 0;
  TokenId token = 0;
  std::optional<double> logprob;  // of this token given those before it; nothing at position 0
  std::vector<TokenLogprob> top;  // the likeliest next tokens, best first
};

/// Runs the model over given tokens and reports every position, in order, as it is known. top_k:
/// how many likeliest next tokens to list. Errors as Engine::submit.
Status score(
    const model::Config& config,
    const model::Weights& weights,
    kernels::Backend& backend,
    std::span<const TokenId> tokens,
    int top_k,
    const std::function<void(const ScoredPosition&)>& on_position
);

}  // namespace gossamer::engine
