// Random requests, arrivals and hang-ups over caches that are too small for them: every output is
// that of its request alone, and every block comes back.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>

#include "tests/engine/tiny_model.h"

namespace gossamer::engine {
namespace {

constexpr int kNumRequests = 24;
constexpr std::uint32_t kNumSchedules = 8;

/// Accepts every token, and allows those that the last one does not forbid: a state that must
/// survive preemption.
class NoRepeatMask final : public TokenMask {
 public:
  void accept(TokenId token) override { last_ = token; }
  bool fill(std::span<std::uint64_t> allowed) const override {
    if (!last_) return false;
    for (auto& word : allowed) word = ~std::uint64_t{0};
    allowed[*last_ / 64] &= ~(std::uint64_t{1} << (*last_ % 64));
    return true;
  }

 private:
  std::optional<TokenId> last_;
};

class RandomScheduleTest : public testing::Test {
 protected:
  /// Requests that share beginnings of many lengths, as conversations do.
  static void SetUpTestSuite() {
    model_ = std::make_unique<TinyModel>();
    std::mt19937 random(7);
    for (int i = 0; i < kNumRequests; ++i) {
      std::vector<TokenId> prompt(1 + random() % 60, 5);
      for (std::size_t t = random() % 60; t < prompt.size(); ++t) prompt[t] = random() % 1000;
      prompts_.push_back(prompt);
      alone_.push_back(run_alone(*model_->make({.context_length = 144}), request(i)));
    }
  }
  static void TearDownTestSuite() {
    model_.reset();
    prompts_.clear();
    alone_.clear();
  }

  static Request request(int index) {
    const auto i = static_cast<std::size_t>(index);
    Request request = greedy(prompts_[i], 1 + 3 * index);
    if (index % 3 == 0) {
      request.sampling.temperature = 1;
      request.sampling.frequency_penalty = 0.5;
      request.sampling.seed = 1000 + i;
    }
    if (index % 4 == 0) request.mask = std::make_shared<NoRepeatMask>();
    request.user = std::string(1 + i % 3, 'u');
    request.reuse_positions = {index, 2 * index};
    return request;
  }

  static EngineOptions small_options(std::mt19937& random) {
    const int batch = static_cast<int>(4 + random() % 60);
    const int sequences = static_cast<int>(1 + random() % 8);
    return {

        .context_length = 144,
        .max_sequences = std::min(batch, sequences),
        .max_batch_tokens = batch,
        .kv_blocks =
            model::KvCacheSize{
                static_cast<int>(9 + random() % 9), static_cast<int>(3 + random() % 20)},
        .num_snapshots = random() % 4 == 0 ? 0 : 8};
  }

  struct Flight {
    int index;
    std::size_t num_tokens = 0;
  };

  /// Submits and cancels at random until all requests are over; returns how many were preempted.
  static std::uint64_t fly(std::uint32_t seed) {
    std::mt19937 random(seed);
    const auto engine = model_->make(small_options(random));
    std::map<SequenceId, Flight> flights;
    int num_submitted = 0;
    int num_steps = 0;
    while (num_submitted < 2 * kNumRequests || !engine->idle()) {
      while (num_submitted < 2 * kNumRequests && random() % 3 != 0) {
        const int index = static_cast<int>(random() % kNumRequests);
        const auto id = engine->submit(request(index));
        EXPECT_TRUE(id.ok()) << id.error().message;
        flights[*id] = {index};
        ++num_submitted;
      }
      if (!flights.empty() && random() % 20 == 0) {
        const auto victim =
            std::next(flights.begin(), static_cast<std::ptrdiff_t>(random() % flights.size()));
        engine->cancel(victim->first);
        flights.erase(victim);
      }
      for (const Output& output : engine->step()) follow(flights, output);
      if (++num_steps > 100000) {
        ADD_FAILURE() << "no end";
        break;
      }
    }
    EXPECT_TRUE(flights.empty());
    expect_all_free(*engine);
    return engine->status().num_preemptions;
  }

  static void follow(std::map<SequenceId, Flight>& flights, const Output& output) {
    const auto place = flights.find(output.sequence);
    ASSERT_NE(place, flights.end()) << "a token of a cancelled sequence";
    Flight& flight = place->second;
    const auto& expected = alone_[static_cast<std::size_t>(flight.index)];
    ASSERT_LT(flight.num_tokens, expected.size());
    EXPECT_EQ(output.sampled.token, expected[flight.num_tokens++]) << "request " << flight.index;
    EXPECT_EQ(output.finish.has_value(), flight.num_tokens == expected.size());
    if (output.finish) flights.erase(place);
  }

  static void expect_all_free(const Engine& engine) {
    const GeneratorStatus status = engine.status();
    EXPECT_EQ(status.num_running + status.num_waiting, 0);
    EXPECT_EQ(status.free_blocks.full_blocks, status.total_blocks.full_blocks);
    EXPECT_EQ(status.free_blocks.sliding_blocks, status.total_blocks.sliding_blocks);
  }

  static std::unique_ptr<TinyModel> model_;
  static std::vector<std::vector<TokenId>> prompts_;
  static std::vector<std::vector<TokenId>> alone_;
};

std::unique_ptr<TinyModel> RandomScheduleTest::model_;
std::vector<std::vector<TokenId>> RandomScheduleTest::prompts_;
std::vector<std::vector<TokenId>> RandomScheduleTest::alone_;

TEST_F(RandomScheduleTest, EveryRequestGetsWhatItGetsAloneAndEveryBlockComesBack) {
  // Others every time with --gtest_shuffle, and those of a failure with its --gtest_random_seed.
  const auto first =
      1000 * static_cast<std::uint32_t>(testing::UnitTest::GetInstance()->random_seed());
  std::uint64_t num_preemptions = 0;
  for (std::uint32_t seed = first; seed < first + kNumSchedules; ++seed) {
    num_preemptions += fly(seed);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  EXPECT_GT(num_preemptions, 0U);
}

}  // namespace
}  // namespace gossamer::engine
