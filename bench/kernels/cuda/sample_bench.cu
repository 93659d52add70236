// Microseconds to choose tokens from logits of gpt-oss's vocabulary, by what rows ask for: the
// kernels alone, recorded in a graph, and the call with its round trip to the host. GB/s are of one
// read of the logits, beside a copy's bandwidth in the same run.

#include <cuda_runtime.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/cuda/device_sampler.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kVocab = 201088;
constexpr int kMaxRows = 64;
constexpr int kRepeats = 300;

struct Case {
  std::string name;
  SampleRow row;
};

/// Flat logits are all alike; of peaked ones a few are far above the others, as a model's are.
enum class Shape { kFlat, kPeaked };

std::vector<float> random_logits(Shape shape) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(static_cast<std::size_t>(kVocab) * kMaxRows);
  for (float& logit : logits) {
    logit = normal(random);
    if (shape == Shape::kPeaked && random() % 4000 == 0) logit += 15.0F;
  }
  return logits;
}

class Bench {
 public:
  explicit Bench(Shape shape) : stream_(make_stream()), begin_(make_event()), end_(make_event()) {
    auto sampler = DeviceSampler::create({.max_rows = kMaxRows, .vocab_size = kVocab});
    sampler_ = std::move(sampler).value();
    const std::vector<float> logits = random_logits(shape);
    const std::size_t bytes = logits.size() * sizeof(float);
    auto buffer = DeviceBuffer::allocate(bytes);
    logits_ = std::move(buffer).value();
    check(cudaMemcpy(logits_->data(), logits.data(), bytes, cudaMemcpyDefault), "cudaMemcpy");
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }

  void run(const Case& one, int num_rows) {
    std::vector<SampleRow> rows(static_cast<std::size_t>(num_rows), one.row);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i].number = 0.99 * static_cast<double>(i + 1) / num_rows;
    }
    std::vector<SampleResult> results(rows.size());
    const tensor::View logits =
        logits_->view(0, tensor::DType::kF32, {static_cast<std::int64_t>(num_rows), kVocab});
    const auto call = [&] { sampler_->sample(logits, rows, results, stream_.get()); };
    for (int i = 0; i < 20; ++i) call();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRepeats; ++i) call();
    const std::chrono::duration<double, std::micro> calls =
        std::chrono::steady_clock::now() - start;
    const SampleKernelArgs args = sampler_->stage(logits, rows, stream_.get());
    const double kernels_us = device_us([&] { launch_sample(args, stream_.get()); });
    fmt::print(
        "{:30} {:3} rows {:7.1f} us a call {:7.1f} us kernels {:6.0f} GB/s\n",
        one.name,
        num_rows,
        calls.count() / kRepeats,
        kernels_us,
        4e-3 * kVocab * num_rows / kernels_us
    );
  }

  void run_copy() {
    const std::size_t half = logits_->size_bytes() / 2;
    const double us = device_us([&] {
      const cudaError_t copied = cudaMemcpyAsync(
          logits_->data() + half, logits_->data(), half, cudaMemcpyDeviceToDevice, stream_.get()
      );
      check(copied, "cudaMemcpyAsync");
    });
    fmt::print("a copy reads and writes {:.0f} GB/s\n", 2e-3 * static_cast<double>(half) / us);
  }

 private:
  /// Microseconds of what `launch` launches, recorded many times in a graph.
  template <class Launch>
  double device_us(const Launch& launch) {
    const GraphExec graph = record(stream_.get(), [&] {
      for (int i = 0; i < kRepeats; ++i) launch();
    });
    float milliseconds = 0;
    for (int i = 0; i < 2; ++i) {  // the first warms up
      check(cudaEventRecord(begin_.get(), stream_.get()), "cudaEventRecord");
      check(cudaGraphLaunch(graph.get(), stream_.get()), "cudaGraphLaunch");
      check(cudaEventRecord(end_.get(), stream_.get()), "cudaEventRecord");
      check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
      milliseconds = elapsed_ms(begin_, end_);
    }
    return 1000.0 * static_cast<double>(milliseconds) / kRepeats;
  }

  Stream stream_;
  Event begin_;
  Event end_;
  std::unique_ptr<DeviceSampler> sampler_;
  std::unique_ptr<DeviceBuffer> logits_;
};

/// Adjustments of `count` tokens, spread over the vocabulary.
std::vector<LogitAdjustment> history(int count) {
  std::vector<LogitAdjustment> adjustments;
  for (int i = 0; i < count; ++i) {
    adjustments.push_back({static_cast<TokenId>(i * (kVocab / count)), 1, 1, 0.0F});
  }
  return adjustments;
}

/// What the rows of cases refer to.
struct Borrowed {
  std::vector<LogitAdjustment> history_1000 = history(1000);
  std::vector<LogitAdjustment> history_4000 = history(4000);
  std::vector<std::uint64_t> half =
      std::vector<std::uint64_t>((kVocab + 63) / 64, 0x5555555555555555U);
};

std::vector<Case> make_cases(const Borrowed& borrowed) {
  std::vector<Case> cases;
  const auto add = [&](const char* name, const auto& change) {
    cases.push_back({name, {}});
    change(cases.back().row);
  };
  const auto with_history = [&](SampleRow& row, const std::vector<LogitAdjustment>& adjustments) {
    row.repetition_penalty = 1.1;
    row.adjustments = adjustments;
  };
  const auto with_top = [](SampleRow& row, int top_k, double top_p) {
    row.top_k = top_k;
    row.top_p = top_p;
  };
  add("greedy", [](SampleRow& row) { row.temperature = 0; });
  add("temperature 1", [](SampleRow&) {});
  add("temperature 0.7", [](SampleRow& row) { row.temperature = 0.7; });
  add("top_k 50", [&](SampleRow& row) { with_top(row, 50, 1.0); });
  add("top_p 0.9", [&](SampleRow& row) { with_top(row, 0, 0.9); });
  add("top_k 50, top_p 0.9", [&](SampleRow& row) { with_top(row, 50, 0.9); });
  add("top_p 0.999, temperature 2", [&](SampleRow& row) {
    with_top(row, 0, 0.999);
    row.temperature = 2;
  });
  add("top_p 0.9, temperature 100", [&](SampleRow& row) {
    with_top(row, 0, 0.9);
    row.temperature = 100;
  });
  add("min_p 0.05", [](SampleRow& row) { row.min_p = 0.05; });
  add("penalties of 1000 tokens",
      [&](SampleRow& row) { with_history(row, borrowed.history_1000); });
  add("penalties of 4000 tokens",
      [&](SampleRow& row) { with_history(row, borrowed.history_4000); });
  add("mask", [&](SampleRow& row) { row.allowed = borrowed.half; });
  add("mask, penalties, top_k, top_p", [&](SampleRow& row) {
    with_top(row, 50, 0.9);
    with_history(row, borrowed.history_1000);
    row.allowed = borrowed.half;
  });
  add("greedy, 5 likeliest", [](SampleRow& row) {
    row.temperature = 0;
    row.num_top = 5;
  });
  add("top_p 0.9, 20 likeliest", [&](SampleRow& row) {
    with_top(row, 0, 0.9);
    row.num_top = 20;
  });
  return cases;
}

}  // namespace
}  // namespace gossamer::kernels::cuda

int main() {
  using namespace gossamer::kernels::cuda;  // NOLINT(google-build-using-namespace)
  const Borrowed borrowed;
  const std::vector<Case> cases = make_cases(borrowed);
  for (const Shape shape : {Shape::kFlat, Shape::kPeaked}) {
    Bench bench(shape);
    fmt::print("{} logits\n", shape == Shape::kFlat ? "flat" : "peaked");
    for (const int num_rows : {1, 8, 64}) {
      for (const Case& one : cases) bench.run(one, num_rows);
    }
    bench.run_copy();
  }
  return 0;
}
