#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/token_id.h"
#include "engine/sampler.h"
#include "engine/sampling_params.h"
#include "engine/token_mask.h"

namespace gossamer::engine {

/// Names a sequence for as long as the engine lives.
using SequenceId = std::uint64_t;

/// What to continue, and how.
struct Request {
  std::vector<TokenId> prompt;  // at least one token
  SamplingParams sampling;
  std::optional<int> max_tokens;     // new tokens; to the end of the context when not set
  std::vector<TokenId> stop_tokens;  // each is emitted, then the sequence ends
  std::shared_ptr<TokenMask> mask;   // or null
};

enum class FinishReason : std::uint8_t {
  kStop,    ///< a stop token was sampled
  kLength,  ///< max_tokens, or the context, is full
};

/// One token of one sequence.
struct Output {
  SequenceId sequence = 0;
  SampledToken sampled;
  std::optional<FinishReason> finish;  // set with the last token
};

}  // namespace gossamer::engine
