// Whole models with random weights on the CUDA backend. Its operands are bf16, and random weights
// route chaotically: what can be asked is to be nearer to the exact logits than the released code,
// which rounds more. docs/numerics.md has the reasons.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/end_to_end/golden.h"
#include "tests/end_to_end/model_runs.h"

namespace gossamer::end_to_end {
namespace {

constexpr std::size_t kNumPrompts = 5;

/// How far logits are from the exact ones, over the prompts of a model.
struct Distance {
  double relative_l2 = 0;
  double mean_divergence = 0;  // Kullback-Leibler, in nats
};

std::vector<double> log_softmax(const float* logits, std::size_t vocab) {
  const double largest = static_cast<double>(*std::max_element(logits, logits + vocab));
  double sum = 0;
  for (std::size_t i = 0; i < vocab; ++i) sum += std::exp(static_cast<double>(logits[i]) - largest);
  std::vector<double> out(vocab);
  for (std::size_t i = 0; i < vocab; ++i) {
    out[i] = static_cast<double>(logits[i]) - largest - std::log(sum);
  }
  return out;
}

double mean_divergence(
    const std::vector<float>& values, const std::vector<float>& exact, std::size_t vocab
) {
  double sum = 0;
  for (std::size_t row = 0; row < exact.size(); row += vocab) {
    const auto p = log_softmax(exact.data() + row, vocab);
    const auto q = log_softmax(values.data() + row, vocab);
    for (std::size_t i = 0; i < vocab; ++i) sum += std::exp(p[i]) * (p[i] - q[i]);
  }
  return sum * static_cast<double>(vocab) / static_cast<double>(exact.size());
}

/// (model, tokens a step)
class CudaModelTest : public testing::TestWithParam<std::tuple<std::string, int>> {
 protected:
  void SetUp() override {
    backend_ = make_backend("cuda", 1);
    if (backend_ == nullptr) GTEST_SKIP() << "no CUDA device";
    resident_ = load(*backend_, checkpoint_.weights());
    for (std::size_t prompt = 0; prompt < kNumPrompts; ++prompt) {
      const std::string key = "prompt" + std::to_string(prompt);
      append(golden_.floats(key + ".logits_f64ref"), exact_);
      append(golden_.floats(key + ".logits_torch_bf16"), torch_);
    }
  }

  static void append(const std::vector<float>& values, std::vector<float>& to) {
    to.insert(to.end(), values.begin(), values.end());
  }

  std::vector<float> run() {
    std::vector<float> logits;
    for (std::size_t prompt = 0; prompt < kNumPrompts; ++prompt) {
      const auto tokens = golden_.tokens("prompt" + std::to_string(prompt) + ".tokens");
      const int chunk = std::min(std::get<1>(GetParam()), static_cast<int>(tokens.size()));
      append(all_logits(checkpoint_.config(), resident_.weights, *backend_, tokens, chunk), logits);
    }
    return logits;
  }

  Distance distance(const std::vector<float>& logits) const {
    const auto vocab = static_cast<std::size_t>(checkpoint_.config().vocab_size);
    return {relative_l2(logits, exact_), mean_divergence(logits, exact_, vocab)};
  }

  const std::string model_ = std::get<0>(GetParam());
  const GoldenFile golden_{model_};
  const checkpoint::Checkpoint checkpoint_ = open_golden(model_ + "/hf");
  std::unique_ptr<kernels::Backend> backend_;
  kernels::ResidentWeights resident_;
  std::vector<float> exact_;
  std::vector<float> torch_;
};

TEST_P(CudaModelTest, LogitsAreNearerToTheExactOnesThanTheReleasedCodes) {
  const Distance ours = distance(run());
  const Distance torch = distance(torch_);
  EXPECT_LT(ours.relative_l2, torch.relative_l2);
  EXPECT_LT(ours.mean_divergence, torch.mean_divergence);
  RecordProperty("relative_l2", std::to_string(ours.relative_l2));
  RecordProperty("mean_divergence", std::to_string(ours.mean_divergence));
}

TEST_P(CudaModelTest, RunningAgainGivesTheSameBits) {
  EXPECT_TRUE(run() == run());
}

INSTANTIATE_TEST_SUITE_P(
    Models,
    CudaModelTest,
    testing::Combine(testing::Values("tiny", "small"), testing::Values(1, 17, 64, 512)),
    [](const auto& test) {
      return std::get<0>(test.param) + "_by_" + std::to_string(std::get<1>(test.param));
    }
);

}  // namespace
}  // namespace gossamer::end_to_end
