#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/token_id.h"
#include "engine/sampling_params.h"
#include "kernels/sampling.h"

namespace gossamer::engine {

/// What choosing a sequence's tokens must remember between them: counts for the penalties, the seed
/// and how many were chosen. The random number for a token depends on the seed and its index only,
/// so neither batch nor speed changes an output. One object a sequence, one thread at a time.
class Sampler {
 public:
  /// params must be valid. Without a seed in params, `fallback_seed` is used.
  Sampler(const SamplingParams& params, std::uint64_t fallback_seed);

  /// Lets the repetition penalty see the prompt.
  void observe_prompt(std::span<const TokenId> prompt);

  /// How the next token is to be chosen. Bit i % 64 of allowed[i / 64] says whether token i may
  /// come; when `allowed` is empty every token may. The row borrows `allowed`, and the adjustments
  /// until accept().
  kernels::SampleRow next_row(std::span<const std::uint64_t> allowed) const;

  /// Remembers what was chosen.
  void accept(TokenId token);

 private:
  kernels::LogitAdjustment& adjustment_of(TokenId token);

  kernels::SampleRow row_;  // what is the same for every token
  std::uint64_t seed_;
  std::uint64_t num_chosen_ = 0;
  bool has_penalties_;
  std::vector<kernels::LogitAdjustment> adjustments_;  // tokens with a bias or a history
  std::unordered_map<TokenId, std::size_t> places_;    // of a token in adjustments_
};

/// A number in [0, 1) that depends on nothing but its arguments.
double uniform(std::uint64_t seed, std::uint64_t counter);

}  // namespace gossamer::engine
