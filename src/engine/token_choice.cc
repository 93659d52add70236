#include "engine/token_choice.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>

namespace gossamer::engine {
namespace {

using kernels::SampleRow;
using Candidate = ChoiceScratch::Candidate;
using Candidates = std::vector<Candidate>;

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

/// The first entry at or after `first` that `left` falls in when each is as wide as its weight; the
/// last one of all that weighs anything when rounding leaves a crumb; nothing when none does.
template <class Entries, class Weight>
std::optional<std::size_t> pick(
    const Entries& entries, std::size_t first, double left, const Weight& weight
) {
  for (std::size_t i = first; i < entries.size(); ++i) {
    const double width = weight(entries[i]);
    if (!(width > 0)) continue;
    left -= width;
    if (left < 0) return i;
  }
  for (std::size_t i = entries.size(); i > 0; --i) {
    if (weight(entries[i - 1]) > 0) return i - 1;
  }
  return std::nullopt;
}

/// As above, among a whole vocabulary: first by whole groups, whose sums do not wait for each
/// other.
std::optional<std::size_t> pick(std::span<const double> weights, double left) {
  constexpr std::size_t kGroup = 64;
  constexpr std::size_t kSums = 8;
  std::size_t first = 0;
  for (; first + kGroup <= weights.size(); first += kGroup) {
    std::array<double, kSums> sums{};
    for (std::size_t i = 0; i < kGroup; ++i) sums[i % kSums] += weights[first + i];
    const double width = std::accumulate(sums.begin(), sums.end(), 0.0);
    if (!(width <= left)) break;
    left -= width;
  }
  return pick(weights, first, left, [](double weight) { return weight; });
}

void adjust(const SampleRow& row, std::span<float> logits) {
  const auto repetition = static_cast<float>(row.repetition_penalty);
  for (const kernels::LogitAdjustment& adjustment : row.adjustments) {
    float& logit = logits[adjustment.token];
    logit += adjustment.bias;
    if (adjustment.seen != 0) logit = logit > 0 ? logit / repetition : logit * repetition;
    logit -= static_cast<float>(row.frequency_penalty * adjustment.count);
    if (adjustment.count > 0) logit -= static_cast<float>(row.presence_penalty);
  }
  if (row.allowed.empty()) return;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (((row.allowed[i / 64] >> (i % 64)) & 1U) == 0) logits[i] = kForbidden;
  }
}

bool heavier(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

void keep_top_k(std::size_t k, Candidates& candidates) {
  if (k == 0 || k >= candidates.size()) return;
  const auto middle = candidates.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(candidates.begin(), middle, candidates.end(), heavier);
  candidates.resize(k);
  // What is summed next must not depend on how nth_element shuffles.
  std::sort(candidates.begin(), candidates.end(), heavier);
}

void keep_top_p(double top_p, Candidates& candidates) {
  if (top_p >= 1.0) return;
  double total = 0;
  for (const Candidate& candidate : candidates) total += candidate.weight;
  // All tokens below this weight together weigh less than the tail that may be dropped: no need to
  // sort them.
  const double crumb = (1.0 - top_p) * total / static_cast<double>(candidates.size());
  std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.weight < crumb; });
  std::sort(candidates.begin(), candidates.end(), heavier);
  double sum = 0;
  std::size_t kept = 0;
  while (kept < candidates.size() && (kept == 0 || sum < top_p * total)) {
    sum += candidates[kept++].weight;
  }
  candidates.resize(kept);
}

void keep_min_p(double min_p, Candidates& candidates) {
  if (min_p <= 0.0) return;
  // The largest weight is 1 by construction.
  std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.weight < min_p; });
}

/// What is left of the vocabulary after the cuts, in the order of the ids.
void select_candidates(const SampleRow& row, ChoiceScratch& scratch) {
  Candidates& candidates = scratch.candidates;
  candidates.clear();
  for (std::size_t i = 0; i < scratch.weights.size(); ++i) {
    const double weight = scratch.weights[i];
    if (weight > 0) candidates.push_back({static_cast<TokenId>(i), weight});
  }
  keep_top_k(static_cast<std::size_t>(row.top_k), candidates);
  keep_top_p(row.top_p, candidates);
  keep_min_p(row.min_p, candidates);
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.token < b.token;
  });
}

/// Draws from scratch.weights, which add up to `total`; nothing when none weighs anything, as those
/// of logits that are no numbers.
std::optional<TokenId> draw(const SampleRow& row, double total, ChoiceScratch& scratch) {
  if (row.top_k == 0 && row.top_p >= 1.0 && row.min_p <= 0.0) {
    const auto place = pick(scratch.weights, row.number * total);
    return place ? std::optional(static_cast<TokenId>(*place)) : std::nullopt;
  }
  select_candidates(row, scratch);
  const Candidates& candidates = scratch.candidates;
  double kept = 0;
  for (const Candidate& candidate : candidates) kept += candidate.weight;
  const auto place = pick(candidates, 0, row.number * kept, [](const Candidate& candidate) {
    return candidate.weight;
  });
  return place ? std::optional(candidates[*place].token) : std::nullopt;
}

/// The sum of exp(logit - largest) over the tokens that may not come; nothing when they are many.
std::optional<double> forbidden_weight(
    std::span<const float> logits, std::span<const std::uint64_t> allowed, double largest
) {
  const std::size_t limit = logits.size() / 16;
  std::size_t count = 0;
  double sum = 0;
  for (std::size_t begin = 0; begin < logits.size(); begin += 64) {
    std::uint64_t forbidden = ~allowed[begin / 64];
    for (; forbidden != 0; forbidden &= forbidden - 1) {
      const std::size_t token = begin + static_cast<std::size_t>(std::countr_zero(forbidden));
      if (token >= logits.size()) break;
      if (++count > limit) return std::nullopt;
      sum += std::exp(logits[token] - largest);
    }
  }
  return sum;
}

/// The logarithm of the sum of all exponentials, where those that were drawn from, which add up to
/// `total`, tell it: at temperature 1, but for what a mask forbids.
std::optional<double> known_log_sum(
    std::span<const float> logits, const SampleRow& row, double largest, double total
) {
  if (row.temperature != 1.0 || !row.adjustments.empty()) return std::nullopt;
  if (row.allowed.empty()) return largest + std::log(total);
  const auto forbidden = forbidden_weight(logits, row.allowed, largest);
  if (!forbidden || !std::isfinite(*forbidden)) return std::nullopt;
  return largest + std::log(total + *forbidden);
}

}  // namespace

SampledToken choose_token(
    std::span<const float> logits, const SampleRow& row, ChoiceScratch& scratch
) {
  std::span<const float> choices = logits;
  if (!row.adjustments.empty() || !row.allowed.empty()) {
    scratch.adjusted.assign(logits.begin(), logits.end());
    adjust(row, scratch.adjusted);
    choices = scratch.adjusted;
  }
  TokenId token = argmax(choices);
  std::optional<double> log_sum;
  if (row.temperature > 0.0) {
    const double largest = choices[token];
    scratch.weights.resize(choices.size());
    const double total = exponentials(choices, largest, row.temperature, scratch.weights);
    log_sum = known_log_sum(logits, row, largest, total);
    token = draw(row, total, scratch).value_or(token);
  }
  if (!log_sum) log_sum = log_sum_exp(logits);
  return {token, logits[token] - *log_sum, top_logprobs(logits, *log_sum, row.num_top)};
}

}  // namespace gossamer::engine
