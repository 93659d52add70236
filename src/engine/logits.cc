#include "engine/logits.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

// Compiled once for each instruction set: foreach_target.h includes this file again and again.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/logits.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace gossamer::engine {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using DD = hn::ScalableTag<double>;
using VD = hn::Vec<DD>;
// As many logits as doubles.
using DHalf = hn::Rebind<float, DD>;

/// -inf when none is a number.
float largest_of(std::span<const float> logits) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  const DF d;
  const std::size_t lanes = hn::Lanes(d);
  auto largest = hn::Set(d, kLowest);
  std::size_t i = 0;
  for (; i + lanes <= logits.size(); i += lanes) {
    const auto logit = hn::LoadU(d, logits.data() + i);
    largest = hn::IfThenElse(hn::Gt(logit, largest), logit, largest);
  }
  float last = kLowest;
  for (; i < logits.size(); ++i) last = logits[i] > last ? logits[i] : last;
  return std::max(last, hn::GetLane(hn::MaxOfLanes(d, largest)));
}

/// exp((logit - largest) / temperature); what is no number remains none.
struct Exponential {
  VD largest;
  VD temperature;

  HWY_INLINE VD of(hn::Vec<DHalf> logits) const {
    const DD d;
    const VD x = hn::Div(hn::Sub(hn::PromoteTo(d, logits), largest), temperature);
    return hn::IfThenElse(hn::Eq(x, x), hn::Exp(d, x), x);
  }
};

/// The sum of all exponentials, each given to put(index, vector, count).
template <class Put>
HWY_INLINE double sum_exponentials(
    std::span<const float> logits, double largest, double temperature, const Put& put
) {
  const DD d;
  const DHalf d_half;
  const std::size_t lanes = hn::Lanes(d);
  const Exponential exponential{hn::Set(d, largest), hn::Set(d, temperature)};
  VD sum = hn::Zero(d);
  std::size_t i = 0;
  for (; i + lanes <= logits.size(); i += lanes) {
    const VD e = exponential.of(hn::LoadU(d_half, logits.data() + i));
    put(i, e, lanes);
    sum = hn::Add(sum, e);
  }
  double total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < logits.size(); ++i) {
    const VD e = exponential.of(hn::Set(d_half, logits[i]));
    put(i, e, 1);
    total += hn::GetLane(e);
  }
  return total;
}

double exponentials(
    std::span<const float> logits, double largest, double temperature, double* out
) {
  return sum_exponentials(
      logits,
      largest,
      temperature,
      [out](std::size_t i, VD e, std::size_t count) {
        if (count == 1) {
          out[i] = hn::GetLane(e);
        } else {
          hn::StoreU(e, DD(), out + i);
        }
      }
  );
}

double sum_of_exponentials(std::span<const float> logits, double largest) {
  return sum_exponentials(logits, largest, 1.0, [](std::size_t, VD, std::size_t) {});
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace gossamer::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gossamer::engine {
HWY_EXPORT(largest_of);
HWY_EXPORT(exponentials);
HWY_EXPORT(sum_of_exponentials);

TokenId argmax(std::span<const float> logits) {
  GOSSAMER_CHECK(!logits.empty());
  const float largest = HWY_DYNAMIC_DISPATCH(largest_of)(logits);
  const auto place = std::find(logits.begin(), logits.end(), largest);
  // Without a number among them there is no largest.
  return place == logits.end() ? 0 : static_cast<TokenId>(place - logits.begin());
}

double log_sum_exp(std::span<const float> logits) {
  const double largest = logits[argmax(logits)];
  return largest + std::log(HWY_DYNAMIC_DISPATCH(sum_of_exponentials)(logits, largest));
}

double exponentials(
    std::span<const float> logits, double largest, double temperature, std::span<double> out
) {
  GOSSAMER_CHECK(out.size() == logits.size());
  return HWY_DYNAMIC_DISPATCH(exponentials)(logits, largest, temperature, out.data());
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
#endif  // HWY_ONCE
