#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace gossamer::model {
namespace {

/// The (fractional) pair index whose wavelength makes `rotations` turns within the trained context.
double correction_index(const Config& config, double rotations) {
  const double half = config.head_dim / 2.0;
  const double turns = config.initial_context_length / (rotations * 2.0 * std::numbers::pi);
  return half * std::log(turns) / std::log(config.rope_theta);
}

}  // namespace

RopeFrequencies rope_frequencies(const Config& config) {
  const int half = config.head_dim / 2;
  RopeFrequencies rope;
  rope.inverse_frequencies.resize(static_cast<std::size_t>(half));
  const double scale = config.rope_scaling_factor;
  double low = correction_index(config, config.rope_ntk_beta);
  double high = correction_index(config, config.rope_ntk_alpha);
  if (config.rope_truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(config.head_dim - 1));
  if (high <= low) high = low + 0.001;  // a step instead of a ramp
  for (int i = 0; i < half; ++i) {
    const double kept = std::pow(config.rope_theta, -2.0 * i / config.head_dim);
    const double ramp = std::clamp((i - low) / (high - low), 0.0, 1.0);
    const double mixed = kept / scale * ramp + kept * (1.0 - ramp);
    rope.inverse_frequencies[static_cast<std::size_t>(i)] = scale > 1.0 ? mixed : kept;
  }
  rope.concentration = scale > 1.0 ? 0.1 * std::log(scale) + 1.0 : 1.0;
  return rope;
}

}  // namespace gossamer::model
