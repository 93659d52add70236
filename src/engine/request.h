#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/token_id.h"
#include "engine/sampling_params.h"
#include "engine/token_choice.h"
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

  /// Who asks: waiting requests of different users are admitted in turn.
  std::string user;

  /// Lengths of prompt prefixes that later prompts are likely to begin with, ascending: where
  /// messages end. Reuse is possible at these, at the end of the prompt and of the output.
  std::vector<int> reuse_positions;
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
  int num_cached_tokens = 0;           // of the prompt, taken from the prefix cache
};

}  // namespace gossamer::engine
