#include "engine/token_choice.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace gossamer::engine {
namespace {

using kernels::SampleRow;
using Candidate = ChoiceScratch::Candidate;
using Candidates = std::vector<Candidate>;

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

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

TokenId draw(std::span<const float> logits, const SampleRow& row, ChoiceScratch& scratch) {
  const TokenId likeliest = argmax(logits);
  scratch.weights.resize(logits.size());
  exponentials(logits, logits[likeliest], row.temperature, scratch.weights);
  if (row.top_k == 0 && row.top_p >= 1.0 && row.min_p <= 0.0) {
    const auto place = pick(scratch.weights, row.number, [](double weight) { return weight; });
    // NaN logits weigh nothing.
    return place ? static_cast<TokenId>(*place) : likeliest;
  }
  Candidates& candidates = scratch.candidates;
  candidates.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = scratch.weights[i];
    if (weight > 0) candidates.push_back({static_cast<TokenId>(i), weight});
  }
  keep_top_k(static_cast<std::size_t>(row.top_k), candidates);
  keep_top_p(row.top_p, candidates);
  keep_min_p(row.min_p, candidates);
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.token < b.token;
  });
  const auto place = pick(candidates, row.number, [](const auto& entry) { return entry.weight; });
  return place ? candidates[*place].token : likeliest;
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
  const TokenId token = row.temperature == 0.0 ? argmax(choices) : draw(choices, row, scratch);
  const double log_sum = log_sum_exp(logits);
  return {token, logits[token] - log_sum, top_logprobs(logits, log_sum, row.num_top)};
}

}  // namespace gossamer::engine
