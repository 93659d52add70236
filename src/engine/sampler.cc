#include "engine/sampler.h"

namespace gossamer::engine {
namespace {

/// SplitMix64's output function (Steele, Lea, Flood 2014).
std::uint64_t mix(std::uint64_t word) {
  word = (word ^ (word >> 30U)) * 0xBF58476D1CE4E5B9U;
  word = (word ^ (word >> 27U)) * 0x94D049BB133111EBU;
  return word ^ (word >> 31U);
}

}  // namespace

double uniform(std::uint64_t seed, std::uint64_t counter) {
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15U;
  const std::uint64_t word = mix(mix(seed + kGolden) + (counter + 1) * kGolden);
  return static_cast<double>(word >> 11U) * 0x1.0p-53;
}

Sampler::Sampler(const SamplingParams& params, std::uint64_t fallback_seed)
    : row_{
          .temperature = params.temperature,
          .top_k = params.top_k,
          .top_p = params.top_p,
          .min_p = params.min_p,
          .repetition_penalty = params.repetition_penalty,
          .frequency_penalty = params.frequency_penalty,
          .presence_penalty = params.presence_penalty,
          .num_top = params.top_logprobs},
      seed_(params.seed.value_or(fallback_seed)),
      has_penalties_(
          params.repetition_penalty != 1.0 || params.frequency_penalty != 0.0 ||
          params.presence_penalty != 0.0
      ) {
  for (const auto& [token, bias] : params.logit_bias) {
    adjustment_of(token).bias += static_cast<float>(bias);
  }
}

kernels::LogitAdjustment& Sampler::adjustment_of(TokenId token) {
  const auto [place, is_new] = places_.try_emplace(token, adjustments_.size());
  if (is_new) adjustments_.push_back({token, 0, 0, 0});
  return adjustments_[place->second];
}

void Sampler::observe_prompt(std::span<const TokenId> prompt) {
  if (row_.repetition_penalty == 1.0) return;
  for (const TokenId token : prompt) adjustment_of(token).seen = 1;
}

kernels::SampleRow Sampler::next_row(std::span<const std::uint64_t> allowed) const {
  kernels::SampleRow row = row_;
  row.number = uniform(seed_, num_chosen_);
  row.adjustments = adjustments_;
  row.allowed = allowed;
  return row;
}

void Sampler::accept(TokenId token) {
  ++num_chosen_;
  if (!has_penalties_) return;
  kernels::LogitAdjustment& adjustment = adjustment_of(token);
  ++adjustment.count;
  adjustment.seen = 1;
}

}  // namespace gossamer::engine
