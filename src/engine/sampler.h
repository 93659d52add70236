#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/token_id.h"
#include "engine/logits.h"
#include "engine/sampling_params.h"

namespace gossamer::engine {

/// A chosen token, with top_logprobs of the likeliest.
using SampledToken = kernels::SampleResult;

/// Room to choose a token in, kept from one to the next. One thread at a time.
struct SamplerScratch {
  struct Candidate {
    TokenId token;
    double weight;  // as in weights
  };
  std::vector<float> adjusted;  // [vocab_size]
  std::vector<double> weights;  // [vocab_size], exp((logit - largest) / temperature)
  std::vector<Candidate> candidates;
};

/// Chooses a sequence's tokens. Holds what sampling must remember between them: counts for the
/// penalties, and the seed; the random number for a token depends on the seed and its index only,
/// so neither batch nor speed changes an output. One object a sequence, one thread at a time.
class Sampler {
 public:
  /// params must be valid for vocab_size. Without a seed in params, `fallback_seed` is used.
  Sampler(SamplingParams params, int vocab_size, std::uint64_t fallback_seed);

  /// Lets the repetition penalty see the prompt.
  void observe_prompt(std::span<const TokenId> prompt);

  /// Chooses from a row of logits. Bit i % 64 of allowed[i / 64] says whether token i may come;
  /// when `allowed` is empty every token may.
  SampledToken sample(
      std::span<const float> logits, std::span<const std::uint64_t> allowed, SamplerScratch& scratch
  );

 private:
  using Candidates = std::vector<SamplerScratch::Candidate>;

  bool adjusts(std::span<const std::uint64_t> allowed) const;
  void adjust(std::span<const std::uint64_t> allowed, std::span<float> logits) const;
  TokenId draw(std::span<const float> logits, SamplerScratch& scratch) const;
  bool keeps_all() const;
  void keep_top_k(Candidates& candidates) const;
  void keep_top_p(Candidates& candidates) const;
  void keep_min_p(Candidates& candidates) const;

  SamplingParams params_;
  std::size_t vocab_size_;
  std::uint64_t seed_;
  std::uint64_t num_sampled_ = 0;
  bool has_penalties_;
  std::vector<std::int32_t> output_counts_;  // [vocab_size] when penalties are on
  std::vector<std::uint8_t> in_prompt_;      // [vocab_size] when the repetition penalty is on
};

/// A number in [0, 1) that depends on nothing but its arguments.
double uniform(std::uint64_t seed, std::uint64_t counter);

}  // namespace gossamer::engine
