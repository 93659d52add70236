// A backend that chooses tokens itself gives those that the host gives.

#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "tests/engine/tiny_model.h"

namespace gossamer::engine {
namespace {

/// Stands for a device: logits are not read but by its own sample(), which has the host's formulas.
class SamplingBackend final : public kernels::cpu::CpuBackend {
 public:
  SamplingBackend() : CpuBackend(1) {}

  bool can_sample(const kernels::SampleRow& row) const override { return row.top_k != kTooHard; }

  void sample(
      tensor::View logits,
      std::span<const kernels::SampleRow> rows,
      std::span<kernels::SampleResult> out
  ) override {
    ++num_sampled_;
    ChoiceScratch scratch;
    const auto vocab = static_cast<std::size_t>(logits.shape()[1]);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const std::span values(logits.as<float>() + row * vocab, vocab);
      out[row] = choose_token(values, rows[row], scratch);
    }
  }

  tensor::View read(tensor::View from) override {
    ++num_read_;
    return from;
  }

  int num_sampled() const { return num_sampled_; }
  int num_read() const { return num_read_; }

  static constexpr int kTooHard = 7;

 private:
  int num_sampled_ = 0;
  int num_read_ = 0;
};

/// Allows tokens of the other parity than the last one.
class ParityMask final : public TokenMask {
 public:
  void accept(TokenId token) override { last_ = token; }
  bool fill(std::span<std::uint64_t> allowed) const override {
    constexpr std::uint64_t kEven = 0x5555555555555555U;
    for (std::uint64_t& word : allowed) word = last_ % 2 == 0 ? ~kEven : kEven;
    return true;
  }

 private:
  TokenId last_ = 0;
};

/// A request of each kind: greedy, drawn, cut, penalised, biased, masked, with log-probabilities.
std::vector<Request> requests() {
  std::vector<Request> requests;
  for (TokenId i = 0; i < 8; ++i) requests.push_back(greedy({i, 5, 9, 2 * i}, 12));
  for (std::size_t i = 1; i < 8; ++i) requests[i].sampling.temperature = 0.8;
  for (std::size_t i = 0; i < 8; ++i) requests[i].sampling.seed = 40 + i;
  requests[2].sampling.top_k = 20;
  requests[2].sampling.top_p = 0.9;
  requests[3].sampling.min_p = 0.05;
  requests[4].sampling.repetition_penalty = 1.5;
  requests[4].sampling.frequency_penalty = 0.5;
  requests[4].sampling.presence_penalty = 0.25;
  requests[5].sampling.logit_bias = {{3, 5.0}, {900, 8.0}};
  requests[6].mask = std::make_shared<ParityMask>();
  requests[7].sampling.top_logprobs = 5;
  return requests;
}

using Chosen = std::tuple<TokenId, double, std::vector<kernels::TokenLogprob>>;

/// What each request gets when all run together.
std::map<SequenceId, std::vector<Chosen>> run_together(
    kernels::Backend& backend, std::vector<Request> requests
) {
  const TinyModel model;
  auto engine = Engine::create(
      model.checkpoint().config(),
      model.checkpoint().weights(),
      backend,
      {.context_length = 64, .max_sequences = 6, .max_batch_tokens = 10}
  );
  GOSSAMER_CHECK(engine.ok());
  for (Request& request : requests) GOSSAMER_CHECK((*engine)->submit(std::move(request)).ok());
  std::map<SequenceId, std::vector<Chosen>> chosen;
  while (!(*engine)->idle()) {
    for (const Output& output : (*engine)->step()) {
      const SampledToken& sampled = output.sampled;
      chosen[output.sequence].emplace_back(sampled.token, sampled.logprob, sampled.top);
    }
  }
  return chosen;
}

TEST(BackendSamplingTest, GivesTheTokensOfTheHost) {
  kernels::cpu::CpuBackend host(1);
  SamplingBackend device;
  const auto expected = run_together(host, requests());
  EXPECT_EQ(expected.size(), requests().size());
  EXPECT_EQ(run_together(device, requests()), expected);
  EXPECT_GT(device.num_sampled(), 12);
  EXPECT_EQ(device.num_read(), 0);
}

TEST(BackendSamplingTest, ARowThatTheBackendCannotChooseTakesTheStepToTheHost) {
  std::vector<Request> with_a_hard_one = requests();
  with_a_hard_one[1].sampling.top_k = SamplingBackend::kTooHard;
  kernels::cpu::CpuBackend host(1);
  SamplingBackend device;
  EXPECT_EQ(run_together(device, with_a_hard_one), run_together(host, with_a_hard_one));
  EXPECT_GT(device.num_sampled(), 0);
  EXPECT_GE(device.num_read(), 12);
}

}  // namespace
}  // namespace gossamer::engine
