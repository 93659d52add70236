#include "engine/logits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace gossamer::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(LogitsTest, ArgmaxIsTheFirstOfTheLargestWhereverItIs) {
  for (const std::size_t size : {1U, 15U, 16U, 17U, 100U}) {
    for (std::size_t place = 0; place < size; ++place) {
      std::vector<float> logits(size, -3.0F);
      logits[place] = 2.0F;
      logits.back() = 2.0F;
      EXPECT_EQ(argmax(logits), place);
    }
  }
}

TEST(LogitsTest, ArgmaxPassesOverWhatIsNoNumber) {
  EXPECT_EQ(argmax(std::vector<float>{kNan, 1, 2, kNan}), 2U);
  EXPECT_EQ(argmax(std::vector<float>(40, kNan)), 0U);
  EXPECT_EQ(argmax(std::vector<float>(40, -kInfinity)), 0U);
}

TEST(LogitsTest, ExponentialsAgreeWithTheLibrarys) {
  std::vector<float> logits;
  for (float logit = 0; logit > -690; logit -= 0.37F) logits.push_back(logit);
  std::vector<double> out(logits.size());
  for (const double temperature : {0.99, 1.0, 3.7}) {
    exponentials(logits, 0.25, temperature, out);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double expected = std::exp((logits[i] - 0.25) / temperature);
      EXPECT_NEAR(out[i], expected, 1e-15 * expected) << logits[i];
    }
  }
}

TEST(LogitsTest, TheSmallestExponentialsAreZeroAndTheLargestIsOne) {
  const std::vector<float> logits = {5, -kInfinity, -1e30F, -800};
  std::vector<double> out(logits.size());
  exponentials(logits, 5, 1, out);
  EXPECT_EQ(out, (std::vector<double>{1, 0, 0, 0}));
}

TEST(LogitsTest, LogSumExpHoldsForEveryLength) {
  for (const std::size_t size : {1U, 7U, 16U, 33U, 1000U}) {
    std::vector<float> logits(size);
    double sum = 0;
    for (std::size_t i = 0; i < size; ++i) {
      logits[i] = static_cast<float>(std::sin(static_cast<double>(i)) * 30);
      sum += std::exp(static_cast<double>(logits[i]));
    }
    EXPECT_NEAR(log_sum_exp(logits), std::log(sum), 1e-12);
  }
}

}  // namespace
}  // namespace gossamer::engine
