#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace gossamer::kernels::cuda {

using tensor::BFloat16;

inline double to_double(float value) {
  return static_cast<double>(value);
}
inline double to_double(BFloat16 value) {
  return static_cast<double>(value.to_float());
}

/// Normal values, the same for the same seed.
inline std::vector<float> normal_floats(std::size_t size, float deviation, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

inline std::vector<BFloat16> normal_bf16s(std::size_t size, float deviation, std::uint64_t seed) {
  std::vector<BFloat16> values;
  for (const float value : normal_floats(size, deviation, seed)) {
    values.push_back(BFloat16::from_float(value));
  }
  return values;
}

/// Every value must be within `relative` of its own magnitude, or `absolute`; reports the first
/// that is not, and how many.
template <class T>
void expect_near_each(
    const std::vector<T>& actual,
    const std::vector<double>& expected,
    double relative,
    double absolute,
    const std::string& what
) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  std::size_t differences = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double bound = std::max(relative * std::abs(expected[i]), absolute);
    if (std::abs(to_double(actual[i]) - expected[i]) <= bound) continue;  // a NaN is not near
    if (differences++ == 0) first = i;
  }
  EXPECT_EQ(differences, 0U) << what << ": first at " << first << ", " << to_double(actual[first])
                             << " instead of " << expected[first];
}

// Half a unit in the last place, with room for the float arithmetic before it.
inline constexpr double kBf16Rounding = 1.0 / 256 * 1.001;
inline constexpr double kF32Rounding = 1e-6;

}  // namespace gossamer::kernels::cuda
