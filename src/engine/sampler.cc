#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"

namespace gossamer::engine {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

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

TokenId argmax(std::span<const float> logits) {
  GOSSAMER_CHECK(!logits.empty());
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double log_sum_exp(std::span<const float> logits) {
  const double largest = logits[argmax(logits)];
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(sum);
}

std::vector<TokenLogprob> top_logprobs(std::span<const float> logits, double log_sum, int count) {
  std::vector<TokenLogprob> top;
  const auto limit = std::min(static_cast<std::size_t>(count), logits.size());
  if (limit == 0) return top;
  // A sorted list of the best so far; most logits fail the first comparison.
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double logprob = logits[i] - log_sum;
    if (top.size() == limit && logprob <= top.back().logprob) continue;
    if (top.size() == limit) top.pop_back();
    const auto place = std::upper_bound(
        top.begin(),
        top.end(),
        logprob,
        [](double value, const TokenLogprob& entry) { return value > entry.logprob; }
    );
    top.insert(place, {static_cast<TokenId>(i), logprob});
  }
  return top;
}

Sampler::Sampler(SamplingParams params, int vocab_size, std::uint64_t fallback_seed)
    : params_(std::move(params)),
      seed_(params_.seed.value_or(fallback_seed)),
      has_penalties_(
          params_.repetition_penalty != 1.0 || params_.frequency_penalty != 0.0 ||
          params_.presence_penalty != 0.0
      ),
      adjusted_(static_cast<std::size_t>(vocab_size)),
      allowed_((static_cast<std::size_t>(vocab_size) + 63) / 64) {
  if (has_penalties_) output_counts_.resize(adjusted_.size());
  if (params_.repetition_penalty != 1.0) in_prompt_.resize(adjusted_.size());
}

void Sampler::observe_prompt(std::span<const TokenId> prompt) {
  if (in_prompt_.empty()) return;
  for (const TokenId token : prompt) in_prompt_[token] = 1;
}

SampledToken Sampler::sample(std::span<const float> logits, const TokenMask* mask) {
  GOSSAMER_CHECK(logits.size() == adjusted_.size());
  adjust(logits, mask);
  const TokenId token = params_.temperature == 0.0 ? argmax(adjusted_) : draw();
  ++num_sampled_;
  if (has_penalties_) ++output_counts_[token];
  const double log_sum = log_sum_exp(logits);
  return {token, logits[token] - log_sum, top_logprobs(logits, log_sum, params_.top_logprobs)};
}

void Sampler::adjust(std::span<const float> logits, const TokenMask* mask) {
  std::copy(logits.begin(), logits.end(), adjusted_.begin());
  for (const auto& [token, bias] : params_.logit_bias) adjusted_[token] += static_cast<float>(bias);
  for (std::size_t i = 0; i < output_counts_.size(); ++i) {
    const int count = output_counts_[i];
    float& logit = adjusted_[i];
    const bool seen = count > 0 || (!in_prompt_.empty() && in_prompt_[i] != 0);
    if (seen) {
      const auto penalty = static_cast<float>(params_.repetition_penalty);
      logit = logit > 0 ? logit / penalty : logit * penalty;
    }
    logit -= static_cast<float>(params_.frequency_penalty * count);
    if (count > 0) logit -= static_cast<float>(params_.presence_penalty);
  }
  if (mask != nullptr && mask->fill(allowed_)) {
    for (std::size_t i = 0; i < adjusted_.size(); ++i) {
      if (((allowed_[i / 64] >> (i % 64)) & 1U) == 0) adjusted_[i] = kForbidden;
    }
  }
}

TokenId Sampler::draw() {
  const double largest = adjusted_[argmax(adjusted_)];
  candidates_.clear();
  for (std::size_t i = 0; i < adjusted_.size(); ++i) {
    const double weight =
        std::exp((static_cast<double>(adjusted_[i]) - largest) / params_.temperature);
    if (weight > 0) candidates_.push_back({static_cast<TokenId>(i), weight});
  }
  keep_top_k();
  keep_top_p();
  keep_min_p();
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  double left = uniform(seed_, num_sampled_) * total;
  for (const Candidate& candidate : candidates_) {
    left -= candidate.weight;
    if (left < 0) return candidate.token;
  }
  // Rounding can leave a crumb; NaN logits leave no candidates at all.
  return candidates_.empty() ? argmax(adjusted_) : candidates_.back().token;
}

void Sampler::keep_top_k() {
  const auto k = static_cast<std::size_t>(params_.top_k);
  if (k == 0 || k >= candidates_.size()) return;
  const auto heavier = [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
  };
  const auto middle = candidates_.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(candidates_.begin(), middle, candidates_.end(), heavier);
  candidates_.resize(k);
  // Back to token order: what is drawn must not depend on how nth_element shuffles.
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.token < b.token;
  });
}

void Sampler::keep_top_p() {
  if (params_.top_p >= 1.0) return;
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  // All tokens below this weight together weigh less than the tail that may be dropped: no need to
  // sort them.
  const double crumb = (1.0 - params_.top_p) * total / static_cast<double>(candidates_.size());
  std::erase_if(candidates_, [&](const Candidate& candidate) { return candidate.weight < crumb; });
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
  });
  double sum = 0;
  std::size_t kept = 0;
  while (kept < candidates_.size() && (kept == 0 || sum < params_.top_p * total)) {
    sum += candidates_[kept++].weight;
  }
  candidates_.resize(kept);
}

void Sampler::keep_min_p() {
  if (params_.min_p <= 0.0) return;
  // The largest weight is 1 by construction.
  std::erase_if(candidates_, [&](const Candidate& candidate) {
    return candidate.weight < params_.min_p;
  });
}

}  // namespace gossamer::engine
