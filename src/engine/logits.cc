#include "engine/logits.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/check.h"

// The loops over a vocabulary are written so that the compiler turns them into vector code: no
// branches, and sums in kLanes parts.

namespace gossamer::engine {
namespace {

constexpr std::size_t kLanes = 16;

/// exp(x) for x <= 0, to 1e-15; libm's cannot be vectorised.
inline double exp_of_negative(double x) {
  constexpr double kSmallest = -707.0;
  // Adding 1.5 * 2^52 leaves the nearest whole number in a double's low bits.
  constexpr double kRounder = 6755399441055744.0;
  constexpr double kLn2High = 6.93147180369123816490e-01;  // its low 32 bits are zero
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  const double clamped = x < kSmallest ? kSmallest : x;
  const double shifted = clamped * 1.4426950408889634074 + kRounder;
  const double power = shifted - kRounder;
  const double r = clamped - power * kLn2High - power * kLn2Low;
  // Taylor's series: |r| <= ln(2) / 2 leaves an error of 4e-18.
  double sum = 1.0 / 6227020800.0;
  for (const double coefficient :
       {1.0 / 479001600.0,
        1.0 / 39916800.0,
        1.0 / 3628800.0,
        1.0 / 362880.0,
        1.0 / 40320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0}) {
    sum = sum * r + coefficient;
  }
  const std::uint64_t exponent = (std::bit_cast<std::uint64_t>(shifted) + 1023U) << 52U;
  return x < kSmallest ? 0.0 : sum * std::bit_cast<double>(exponent);
}

float largest_of(std::span<const float> logits) {
  std::array<float, kLanes> largest;
  largest.fill(-std::numeric_limits<float>::infinity());
  std::size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (std::size_t k = 0; k < kLanes; ++k) {
      largest[k] = logits[i + k] > largest[k] ? logits[i + k] : largest[k];
    }
  }
  for (; i < logits.size(); ++i) largest[0] = std::max(largest[0], logits[i]);
  return *std::max_element(largest.begin(), largest.end());
}

}  // namespace

TokenId argmax(std::span<const float> logits) {
  GOSSAMER_CHECK(!logits.empty());
  const auto place = std::find(logits.begin(), logits.end(), largest_of(logits));
  // Without a number among them there is no largest.
  return place == logits.end() ? 0 : static_cast<TokenId>(place - logits.begin());
}

double log_sum_exp(std::span<const float> logits) {
  const double largest = logits[argmax(logits)];
  std::array<double, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (std::size_t k = 0; k < kLanes; ++k) {
      sums[k] += exp_of_negative(static_cast<double>(logits[i + k]) - largest);
    }
  }
  double sum = 0;
  for (; i < logits.size(); ++i) sum += exp_of_negative(static_cast<double>(logits[i]) - largest);
  for (const double part : sums) sum += part;
  return largest + std::log(sum);
}

void exponentials(
    std::span<const float> logits, double largest, double temperature, std::span<double> out
) {
  GOSSAMER_CHECK(out.size() == logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    out[i] = exp_of_negative((static_cast<double>(logits[i]) - largest) / temperature);
  }
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

}  // namespace gossamer::engine
