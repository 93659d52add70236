#include "engine/sampler.h"

#include <algorithm>
#include <limits>
#include <optional>
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

/// The index that `number` in [0, 1) falls on when each entry is as wide as its weight; the last
/// one that weighs anything when rounding leaves a crumb; nothing when none does.
template <class Entries, class Weight>
std::optional<std::size_t> pick(const Entries& entries, double number, const Weight& weight) {
  double total = 0;
  for (const auto& entry : entries) total += weight(entry);
  double left = number * total;
  std::optional<std::size_t> last;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const double width = weight(entries[i]);
    if (!(width > 0)) continue;
    last = i;
    left -= width;
    if (left < 0) break;
  }
  return last;
}

}  // namespace

double uniform(std::uint64_t seed, std::uint64_t counter) {
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15U;
  const std::uint64_t word = mix(mix(seed + kGolden) + (counter + 1) * kGolden);
  return static_cast<double>(word >> 11U) * 0x1.0p-53;
}

Sampler::Sampler(SamplingParams params, int vocab_size, std::uint64_t fallback_seed)
    : params_(std::move(params)),
      vocab_size_(static_cast<std::size_t>(vocab_size)),
      seed_(params_.seed.value_or(fallback_seed)),
      has_penalties_(
          params_.repetition_penalty != 1.0 || params_.frequency_penalty != 0.0 ||
          params_.presence_penalty != 0.0
      ) {
  if (has_penalties_) output_counts_.resize(vocab_size_);
  if (params_.repetition_penalty != 1.0) in_prompt_.resize(vocab_size_);
}

void Sampler::observe_prompt(std::span<const TokenId> prompt) {
  if (in_prompt_.empty()) return;
  for (const TokenId token : prompt) in_prompt_[token] = 1;
}

SampledToken Sampler::sample(
    std::span<const float> logits, std::span<const std::uint64_t> allowed, SamplerScratch& scratch
) {
  GOSSAMER_CHECK(logits.size() == vocab_size_);
  std::span<const float> choices = logits;
  if (adjusts(allowed)) {
    scratch.adjusted.assign(logits.begin(), logits.end());
    adjust(allowed, scratch.adjusted);
    choices = scratch.adjusted;
  }
  const TokenId token = params_.temperature == 0.0 ? argmax(choices) : draw(choices, scratch);
  ++num_sampled_;
  if (has_penalties_) ++output_counts_[token];
  const double log_sum = log_sum_exp(logits);
  return {token, logits[token] - log_sum, top_logprobs(logits, log_sum, params_.top_logprobs)};
}

bool Sampler::adjusts(std::span<const std::uint64_t> allowed) const {
  return has_penalties_ || !params_.logit_bias.empty() || !allowed.empty();
}

void Sampler::adjust(std::span<const std::uint64_t> allowed, std::span<float> logits) const {
  for (const auto& [token, bias] : params_.logit_bias) logits[token] += static_cast<float>(bias);
  for (std::size_t i = 0; i < output_counts_.size(); ++i) {
    const int count = output_counts_[i];
    float& logit = logits[i];
    const bool seen = count > 0 || (!in_prompt_.empty() && in_prompt_[i] != 0);
    if (seen) {
      const auto penalty = static_cast<float>(params_.repetition_penalty);
      logit = logit > 0 ? logit / penalty : logit * penalty;
    }
    logit -= static_cast<float>(params_.frequency_penalty * count);
    if (count > 0) logit -= static_cast<float>(params_.presence_penalty);
  }
  if (allowed.empty()) return;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (((allowed[i / 64] >> (i % 64)) & 1U) == 0) logits[i] = kForbidden;
  }
}

bool Sampler::keeps_all() const {
  return params_.top_k == 0 && params_.top_p >= 1.0 && params_.min_p <= 0.0;
}

TokenId Sampler::draw(std::span<const float> logits, SamplerScratch& scratch) const {
  const TokenId likeliest = argmax(logits);
  scratch.weights.resize(logits.size());
  exponentials(logits, logits[likeliest], params_.temperature, scratch.weights);
  const double number = uniform(seed_, num_sampled_);
  if (keeps_all()) {
    const auto place = pick(scratch.weights, number, [](double weight) { return weight; });
    // NaN logits weigh nothing.
    return place ? static_cast<TokenId>(*place) : likeliest;
  }
  Candidates& candidates = scratch.candidates;
  candidates.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = scratch.weights[i];
    if (weight > 0) candidates.push_back({static_cast<TokenId>(i), weight});
  }
  keep_top_k(candidates);
  keep_top_p(candidates);
  keep_min_p(candidates);
  const auto place = pick(candidates, number, [](const auto& entry) { return entry.weight; });
  return place ? candidates[*place].token : likeliest;
}

void Sampler::keep_top_k(Candidates& candidates) const {
  const auto k = static_cast<std::size_t>(params_.top_k);
  if (k == 0 || k >= candidates.size()) return;
  const auto heavier = [](const SamplerScratch::Candidate& a, const SamplerScratch::Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
  };
  const auto middle = candidates.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(candidates.begin(), middle, candidates.end(), heavier);
  candidates.resize(k);
  // Back to token order: what is drawn must not depend on how nth_element shuffles.
  std::sort(
      candidates.begin(),
      candidates.end(),
      [](const SamplerScratch::Candidate& a, const SamplerScratch::Candidate& b) {
        return a.token < b.token;
      }
  );
}

void Sampler::keep_top_p(Candidates& candidates) const {
  if (params_.top_p >= 1.0) return;
  double total = 0;
  for (const SamplerScratch::Candidate& candidate : candidates) total += candidate.weight;
  // All tokens below this weight together weigh less than the tail that may be dropped: no need to
  // sort them.
  const double crumb = (1.0 - params_.top_p) * total / static_cast<double>(candidates.size());
  std::erase_if(candidates, [&](const SamplerScratch::Candidate& candidate) {
    return candidate.weight < crumb;
  });
  std::sort(
      candidates.begin(),
      candidates.end(),
      [](const SamplerScratch::Candidate& a, const SamplerScratch::Candidate& b) {
        return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
      }
  );
  double sum = 0;
  std::size_t kept = 0;
  while (kept < candidates.size() && (kept == 0 || sum < params_.top_p * total)) {
    sum += candidates[kept++].weight;
  }
  candidates.resize(kept);
}

void Sampler::keep_min_p(Candidates& candidates) const {
  if (params_.min_p <= 0.0) return;
  // The largest weight is 1 by construction.
  std::erase_if(candidates, [&](const SamplerScratch::Candidate& candidate) {
    return candidate.weight < params_.min_p;
  });
}

}  // namespace gossamer::engine
