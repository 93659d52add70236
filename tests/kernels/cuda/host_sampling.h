#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/sampling.h"

/// What SampleRow says, in double and one step after the other.
namespace gossamer::kernels::host_sampling {

/// A token that may be chosen, and its weight relative to the largest.
struct Candidate {
  TokenId token;
  double weight;
};

/// The outcome of a row, with what is needed to judge another outcome.
struct Choice {
  TokenId token = 0;
  std::vector<Candidate> kept = {};  // in order of ids; empty where nothing weighs anything
  double total = 0;                  // of the kept weights
  /// By how much of the total the border of kept tokens could be off if sums were off by 1e-6: not
  /// 0 where top_p is reached just so.
  double doubt = 0;
};

inline std::vector<float> adjusted(const std::vector<float>& logits, const SampleRow& row) {
  std::vector<float> result = logits;
  for (const LogitAdjustment& adjustment : row.adjustments) {
    volatile float logit = result[adjustment.token];  // volatile: nothing may be fused
    logit = logit + adjustment.bias;
    const auto penalty = static_cast<float>(row.repetition_penalty);
    if (adjustment.seen != 0) logit = logit > 0 ? logit / penalty : logit * penalty;
    logit = logit - static_cast<float>(row.frequency_penalty * adjustment.count);
    if (adjustment.count > 0) logit = logit - static_cast<float>(row.presence_penalty);
    result[adjustment.token] = logit;
  }
  for (std::size_t i = 0; i < result.size() && !row.allowed.empty(); ++i) {
    if ((row.allowed[i / 64] >> (i % 64) & 1U) == 0) {
      result[i] = -std::numeric_limits<float>::infinity();
    }
  }
  return result;
}

inline TokenId argmax(const std::vector<float>& logits) {
  float largest = -std::numeric_limits<float>::infinity();
  for (const float logit : logits) largest = std::max(largest, logit);
  const auto place = std::find(logits.begin(), logits.end(), largest);
  return place == logits.end() ? 0 : static_cast<TokenId>(place - logits.begin());
}

inline bool heavier(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

/// Drops all but the likeliest tokens that reach top_p; returns the doubt about how many they are.
inline double keep_top_p(double top_p, std::vector<Candidate>& sorted) {
  constexpr double kInexact = 1e-6;
  double total = 0;
  for (const Candidate& candidate : sorted) total += candidate.weight;
  double sum = 0;
  std::size_t kept = 0;
  while (kept < sorted.size() && (kept == 0 || sum < top_p * total)) sum += sorted[kept++].weight;
  if (kept == 0) return 0;
  const double last = sorted[kept - 1].weight;
  const double over = sum - top_p * total;
  const bool doubtful = over < kInexact * total || over > last - kInexact * total;
  sorted.resize(kept);
  return doubtful ? (last + kInexact * total) / sum : 0.0;
}

inline std::vector<Candidate> weighed(const std::vector<float>& logits, double temperature) {
  const double largest = logits[argmax(logits)];
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((static_cast<double>(logits[i]) - largest) / temperature);
    if (weight > 1e-300) candidates.push_back({static_cast<TokenId>(i), weight});
  }
  return candidates;
}

inline Choice choose(const std::vector<float>& raw, const SampleRow& row) {
  const std::vector<float> logits = adjusted(raw, row);
  Choice choice{.token = argmax(logits)};
  if (row.temperature == 0.0) return choice;
  std::vector<Candidate> kept = weighed(logits, row.temperature);
  const auto k = static_cast<std::size_t>(row.top_k);
  if (k > 0 || row.top_p < 1.0) {
    std::sort(kept.begin(), kept.end(), heavier);
    if (k > 0 && k < kept.size()) kept.resize(k);
  }
  if (row.top_p < 1.0) choice.doubt = keep_top_p(row.top_p, kept);
  if (row.min_p > 0) {
    std::erase_if(kept, [&](const Candidate& candidate) { return candidate.weight < row.min_p; });
  }
  std::sort(kept.begin(), kept.end(), [](const Candidate& a, const Candidate& b) {
    return a.token < b.token;
  });
  for (const Candidate& candidate : kept) choice.total += candidate.weight;
  double left = row.number * choice.total;
  for (const Candidate& candidate : kept) {
    choice.token = candidate.token;
    left -= candidate.weight;
    if (left < 0) break;
  }
  choice.kept = std::move(kept);
  return choice;
}

/// How far `number` is outside the stretch of `token`, as a share of the kept weights; infinity
/// where the token is not kept.
inline double distance_to(const Choice& choice, TokenId token, double number) {
  double begin = 0;
  for (const Candidate& candidate : choice.kept) {
    const double end = begin + candidate.weight;
    if (candidate.token == token) {
      const double at = number * choice.total;
      return std::max({begin - at, at - end, 0.0}) / choice.total;
    }
    begin = end;
  }
  return std::numeric_limits<double>::infinity();
}

inline double log_sum_exp(const std::vector<float>& logits) {
  const double largest = logits[argmax(logits)];
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(sum);
}

inline std::vector<TokenLogprob> top_logprobs(
    const std::vector<float>& logits, double log_sum, int count
) {
  std::vector<TokenId> tokens(logits.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<TokenId>(i);
  const auto limit = std::min(static_cast<std::size_t>(count), tokens.size());
  std::partial_sort(
      tokens.begin(),
      tokens.begin() + static_cast<std::ptrdiff_t>(limit),
      tokens.end(),
      [&](TokenId a, TokenId b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; }
  );
  std::vector<TokenLogprob> top;
  for (std::size_t i = 0; i < limit; ++i) {
    top.push_back({tokens[i], static_cast<double>(logits[tokens[i]]) - log_sum});
  }
  return top;
}

}  // namespace gossamer::kernels::host_sampling
