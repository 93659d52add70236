#pragma once

#include <vector>

#include "model/config.h"

namespace gossamer::model {

/// Rotary frequencies after YaRN (arXiv 2309.00071): high frequencies kept, low ones divided by the
/// scaling factor, a ramp between.
struct RopeFrequencies {
  std::vector<double> inverse_frequencies;  // [head_dim / 2], radians a position
  double concentration = 1.0;               // factor on cosine and sine
};

/// The frequencies of a config; plain RoPE when the scaling factor is at most 1.
RopeFrequencies rope_frequencies(const Config& config);

}  // namespace gossamer::model
