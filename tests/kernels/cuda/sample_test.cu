#include <cuda_runtime.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cuda/device_sampler.cuh"
#include "kernels/cuda/devices.h"
#include "tests/kernels/cuda/host_sampling.h"

namespace gossamer::kernels::cuda {
namespace {

using host_sampling::Choice;

constexpr int kMaxRows = 64;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// A row with what its spans borrow.
struct OwnedRow {
  SampleRow row;
  std::vector<float> logits;
  std::vector<LogitAdjustment> adjustments;
  std::vector<std::uint64_t> allowed;

  SampleRow view() const {
    SampleRow result = row;
    result.adjustments = adjustments;
    result.allowed = allowed;
    return result;
  }
};

/// A sampler, its stream, and logits on the device.
class Device {
 public:
  explicit Device(int vocab_size) : vocab_size_(vocab_size), stream_(make_stream()) {
    auto sampler = DeviceSampler::create({.max_rows = kMaxRows, .vocab_size = vocab_size});
    sampler_ = std::move(sampler).value();
    const auto elements = static_cast<std::size_t>(vocab_size) * kMaxRows;
    auto logits = DeviceBuffer::allocate(elements * sizeof(float));
    logits_ = std::move(logits).value();
  }

  std::vector<SampleResult> sample(const std::vector<OwnedRow>& rows) {
    std::vector<SampleRow> views;
    std::vector<SampleResult> results(rows.size());
    const std::size_t row_bytes = static_cast<std::size_t>(vocab_size_) * sizeof(float);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      views.push_back(rows[i].view());
      std::byte* const to = logits_->data() + i * row_bytes;
      const float* const from = rows[i].logits.data();
      check(
          cudaMemcpyAsync(to, from, row_bytes, cudaMemcpyHostToDevice, stream_.get()),
          "cudaMemcpyAsync"
      );
    }
    const tensor::View logits = logits_->view(
        0, tensor::DType::kF32, {static_cast<std::int64_t>(rows.size()), vocab_size_}
    );
    sampler_->sample(logits, views, results, stream_.get());
    return results;
  }

  SampleResult sample(const OwnedRow& row) { return sample(std::vector<OwnedRow>{row}).front(); }

 private:
  int vocab_size_;
  Stream stream_;
  std::unique_ptr<DeviceSampler> sampler_;
  std::unique_ptr<DeviceBuffer> logits_;
};

class SampleTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!list_cuda_devices().ok()) GTEST_SKIP() << "no CUDA device";
  }
};

// --- random rows ---

enum class Shape { kNormal, kPeaked, kFlat, kEqual, kCoarse, kSorted, kHoles, kCount };

std::vector<float> random_logits(Shape shape, int vocab_size, std::mt19937_64& random) {
  std::normal_distribution<float> normal(0, shape == Shape::kFlat ? 0.01F : 3.0F);
  std::vector<float> logits(static_cast<std::size_t>(vocab_size));
  for (float& logit : logits) {
    logit = normal(random) - 2.0F;
    if (shape == Shape::kEqual) logit = 1.5F;
    if (shape == Shape::kCoarse) logit = std::round(logit * 2.0F) / 2.0F;
    if (shape == Shape::kHoles && random() % 2 == 0) logit = -kInfinity;
  }
  if (shape == Shape::kSorted) std::sort(logits.begin(), logits.end());
  if (shape == Shape::kPeaked) logits[random() % logits.size()] = 20.0F;
  return logits;
}

template <class T>
T any_of(std::mt19937_64& random, std::initializer_list<T> values) {
  return values.begin()[random() % values.size()];
}

OwnedRow random_row(Shape shape, int vocab_size, std::mt19937_64& random) {
  OwnedRow result;
  const auto vocab = static_cast<std::uint64_t>(vocab_size);
  result.logits = random_logits(shape, vocab_size, random);
  SampleRow& row = result.row;
  row.number = std::uniform_real_distribution<double>(0, 1)(random);
  row.temperature = any_of(random, {0.0, 0.3, 1.0, 1.0, 2.0});
  row.top_k = any_of(random, {0, 0, 1, 5, 50, 3000});
  row.top_p = any_of(random, {1.0, 1.0, 0.0, 0.1, 0.9, 0.999});
  row.min_p = any_of(random, {0.0, 0.0, 0.05});
  row.num_top = any_of(random, {0, 0, 1, 5, 20});
  if (random() % 3 == 0) {
    row.repetition_penalty = any_of(random, {1.0, 1.3, 0.7});
    row.frequency_penalty = any_of(random, {0.0, 0.4, -0.1});
    row.presence_penalty = any_of(random, {0.0, 0.6});
    const std::uint64_t history = std::min<std::uint64_t>(random() % 1000, vocab);
    const std::uint64_t first = random() % vocab;
    for (std::uint64_t i = 0; i < history; ++i) {
      const auto count = static_cast<std::int32_t>(random() % 3);
      const auto token = static_cast<TokenId>((first + i * (vocab / history)) % vocab);
      const float bias = random() % 4 == 0 ? 2.5F : 0.0F;
      const std::int32_t seen = count > 0 || random() % 2 == 0 ? 1 : 0;
      result.adjustments.push_back({token, count, seen, bias});
    }
  }
  const std::uint64_t mask = random() % 6;  // 0: one token; 1: a few; 2: half; else no mask
  if (mask < 3) result.allowed.resize((vocab + 63) / 64);
  for (std::uint64_t& word : result.allowed) word = mask == 2 ? random() : 0;
  for (std::uint64_t i = 0; i < (mask == 0 ? 1U : 7U) && !result.allowed.empty(); ++i) {
    const std::uint64_t token = random() % vocab;
    result.allowed[token / 64] |= std::uint64_t{1} << (token % 64);
  }
  return result;
}

std::string describe(const SampleRow& row) {
  return fmt::format(
      "temperature {} top_k {} top_p {} min_p {} number {:.9f} adjustments {} mask {} num_top {}",
      row.temperature,
      row.top_k,
      row.top_p,
      row.min_p,
      row.number,
      row.adjustments.size(),
      !row.allowed.empty(),
      row.num_top
  );
}

constexpr double kTolerance = 1e-6;

void expect_logprob(double actual, double expected) {
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(actual)) << actual;
  } else if (std::isinf(expected)) {
    EXPECT_EQ(actual, expected);
  } else {
    EXPECT_NEAR(actual, expected, kTolerance);
  }
}

/// Compares a result with the host's, and counts those that are a neighbour of its token.
void expect_host_choice(const OwnedRow& owned, const SampleResult& result, int& num_neighbours) {
  const SampleRow row = owned.view();
  const Choice choice = host_sampling::choose(owned.logits, row);
  if (result.token != choice.token) {
    ++num_neighbours;
    const double distance = host_sampling::distance_to(choice, result.token, row.number);
    EXPECT_LE(distance, kTolerance + choice.doubt)
        << "token " << result.token << ", host's " << choice.token << ", kept "
        << choice.kept.size();
  }
  const double log_sum = host_sampling::log_sum_exp(owned.logits);
  expect_logprob(result.logprob, owned.logits[result.token] - log_sum);
  const auto top = host_sampling::top_logprobs(owned.logits, log_sum, row.num_top);
  ASSERT_EQ(result.top.size(), top.size());
  for (std::size_t i = 0; i < top.size(); ++i) {
    EXPECT_EQ(result.top[i].token, top[i].token) << "place " << i;
    expect_logprob(result.top[i].logprob, top[i].logprob);
  }
}

void compare_with_host(int vocab_size, int num_rows) {
  std::mt19937_64 random(static_cast<std::uint64_t>(vocab_size));
  Device device(vocab_size);
  int num_neighbours = 0;
  for (int done = 0; done < num_rows; done += kMaxRows) {
    std::vector<OwnedRow> rows;
    for (int i = 0; i < std::min(kMaxRows, num_rows - done); ++i) {
      const auto shape = static_cast<Shape>((done + i) % static_cast<int>(Shape::kCount));
      rows.push_back(random_row(shape, vocab_size, random));
    }
    const std::vector<SampleResult> results = device.sample(rows);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      SCOPED_TRACE(fmt::format(
          "vocabulary {} row {} shape {} {}",
          vocab_size,
          done + static_cast<int>(i),
          (done + static_cast<int>(i)) % static_cast<int>(Shape::kCount),
          describe(rows[i].view())
      ));
      expect_host_choice(rows[i], results[i], num_neighbours);
      if (testing::Test::HasFailure()) return;
    }
  }
  // A border lies within 1e-6 of a random number about once in a million times the kept tokens.
  testing::Test::RecordProperty("neighbours", num_neighbours);
  EXPECT_LE(num_neighbours, 1 + num_rows * vocab_size / 2000000);
  fmt::print("vocabulary {}: {} of {} rows on a border\n", vocab_size, num_neighbours, num_rows);
}

TEST_F(SampleTest, SmallVocabulariesChooseTheHostsTokens) {
  for (const int vocab_size : {1, 2, 7, 64, 1024, 1535, 1537, 4160}) {
    compare_with_host(vocab_size, 1024);
  }
}

TEST_F(SampleTest, LargeVocabulariesChooseTheHostsTokens) {
  compare_with_host(50257, 256);
  compare_with_host(201088, 384);
}

TEST_F(SampleTest, FewRowsChooseTheHostsTokens) {
  std::mt19937_64 random(1);
  Device device(4160);
  int num_neighbours = 0;
  for (int i = 0; i < 200; ++i) {
    const OwnedRow row = random_row(Shape::kNormal, 4160, random);
    expect_host_choice(row, device.sample(row), num_neighbours);
  }
  EXPECT_LE(num_neighbours, 1);
}

// --- shares ---

/// The chi-square statistic of `draws` draws against the host's kept weights, with its degrees of
/// freedom.
std::pair<double, int> chi_square(OwnedRow row, int draws) {
  const auto vocab_size = static_cast<int>(row.logits.size());
  Device device(vocab_size);
  std::mt19937_64 random(5);
  std::vector<int> counts(row.logits.size());
  for (int done = 0; done < draws; done += kMaxRows) {
    std::vector<OwnedRow> rows(kMaxRows, row);
    for (OwnedRow& one : rows) {
      one.row.number = std::uniform_real_distribution<double>(0, 1)(random);
    }
    for (const SampleResult& result : device.sample(rows)) ++counts[result.token];
  }
  const int total = (draws + kMaxRows - 1) / kMaxRows * kMaxRows;
  const Choice choice = host_sampling::choose(row.logits, row.view());
  double statistic = 0;
  int covered = 0;
  for (const auto& [token, weight] : choice.kept) {
    const double expected = weight / choice.total * total;
    statistic += (counts[token] - expected) * (counts[token] - expected) / expected;
    covered += counts[token];
  }
  EXPECT_EQ(covered, total) << "tokens that are not kept were drawn";
  return {statistic, static_cast<int>(choice.kept.size()) - 1};
}

TEST_F(SampleTest, TokensComeInProportion) {
  OwnedRow row;
  for (int i = 0; i < 40; ++i) row.logits.push_back(0.08F * static_cast<float>(i * 7 % 40));
  for (const double top_p : {1.0, 0.8}) {
    row.row.top_p = top_p;
    const auto [statistic, freedom] = chi_square(row, 100000);
    // Four standard deviations above the mean.
    EXPECT_LE(statistic, freedom + 4 * std::sqrt(2.0 * freedom)) << "top_p " << top_p;
  }
}

// --- edges ---

TEST_F(SampleTest, TheSameRowsGiveTheSameBitsAloneAndTogether) {
  constexpr int kVocab = 201088;
  std::mt19937_64 random(9);
  Device device(kVocab);
  std::vector<OwnedRow> rows;
  for (int i = 0; i < kMaxRows; ++i) {
    const auto shape = static_cast<Shape>(i % static_cast<int>(Shape::kCount));
    rows.push_back(random_row(shape, kVocab, random));
  }
  const std::vector<SampleResult> first = device.sample(rows);
  const std::vector<SampleResult> again = device.sample(rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const SampleResult& other : {again[i], device.sample(rows[i])}) {
      EXPECT_EQ(first[i].token, other.token) << "row " << i;
      EXPECT_EQ(std::memcmp(&first[i].logprob, &other.logprob, sizeof(double)), 0) << "row " << i;
      EXPECT_EQ(first[i].top, other.top) << "row " << i;
    }
  }
}

TEST_F(SampleTest, AtTheEdgeOfTopKTheLowestTokensStay) {
  OwnedRow row;
  row.logits.assign(201088, 1.0F);
  row.logits[150000] = 2.0F;
  row.row.top_k = 3;
  Device device(201088);
  row.row.number = 0.0;
  EXPECT_EQ(device.sample(row).token, 0U);
  row.row.number = 0.3;
  EXPECT_EQ(device.sample(row).token, 1U);
  row.row.number = 0.9999999;
  EXPECT_EQ(device.sample(row).token, 150000U);
}

TEST_F(SampleTest, LikeliestTokensFarBelowTheFirstAreReported) {
  OwnedRow row;
  row.logits.assign(201088, -500.0F);
  row.logits[7] = 0.0F;
  row.logits[200000] = -120.0F;
  row.row.num_top = 4;
  row.row.temperature = 0;
  const std::vector<TokenLogprob> expected = {{7, 0.0}, {200000, -120.0}, {0, -500.0}, {1, -500.0}};
  EXPECT_EQ(Device(201088).sample(row).top, expected);
}

TEST_F(SampleTest, WhatIsNoNumberIsNotChosen) {
  for (const int top_k : {0, 2}) {
    OwnedRow row;
    row.row.top_k = top_k;
    row.logits.assign(4000, kNan);
    Device device(4000);
    EXPECT_EQ(device.sample(row).token, 0U);
    EXPECT_TRUE(std::isnan(device.sample(row).logprob));
    row.logits[3000] = -kInfinity;
    row.logits[3999] = 1.0F;
    row.row.number = 0.999;
    EXPECT_EQ(device.sample(row).token, 3999U);
    row.logits.assign(4000, -kInfinity);
    EXPECT_EQ(device.sample(row).token, 0U);
    row.logits[3500] = kInfinity;
    EXPECT_EQ(device.sample(row).token, 3500U);
  }
}

TEST_F(SampleTest, RowsThatAskForTooMuchAreLeftToTheHost) {
  const auto sampler =
      DeviceSampler::create({.max_rows = 1, .vocab_size = 100, .max_adjustments = 2}).value();
  const std::vector<LogitAdjustment> adjustments(3);
  SampleRow row;
  EXPECT_TRUE(sampler->can_sample(row));
  row.num_top = kMaxTopLogprobs + 1;
  EXPECT_FALSE(sampler->can_sample(row));
  row.num_top = 0;
  row.adjustments = adjustments;
  EXPECT_FALSE(sampler->can_sample(row));
}

}  // namespace
}  // namespace gossamer::kernels::cuda
