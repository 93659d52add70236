// What the operations without products take, at the released widths: time of one among many
// launches in a row, bytes that must move, and the share of the rate at which the device reads its
// memory.

#include <fmt/format.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/cuda/combine_experts.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/place_qkv.cuh"
#include "kernels/cuda/read_bandwidth.h"
#include "kernels/cuda/rms_norm.cuh"
#include "kernels/cuda/rope_table.cuh"
#include "kernels/cuda/route.cuh"
#include "kernels/step.h"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kHidden = 2880;
constexpr int kHeads = 64;
constexpr int kKvHeads = 8;
constexpr int kAllHeads = kHeads + 2 * kKvHeads;
constexpr int kHeadDim = 64;
constexpr int kExperts = 128;
constexpr int kPerToken = 4;
constexpr int kLaunches = 50;

/// Zeroed memory of the device for as long as the benchmark runs.
class Memory {
 public:
  template <class T>
  T* take(std::int64_t count) {
    auto buffer = DeviceBuffer::allocate(static_cast<std::size_t>(count) * sizeof(T));
    if (!buffer.ok()) throw std::runtime_error(buffer.error().message);
    buffers_.push_back(std::move(buffer).value());
    return reinterpret_cast<T*>(buffers_.back()->data());
  }

 private:
  std::vector<std::unique_ptr<DeviceBuffer>> buffers_;
};

class Bench {
 public:
  explicit Bench(double read_rate) : read_rate_(read_rate) {}

  void measure(
      const std::string& name, int tokens, double bytes, const std::function<void(cudaStream_t)>& op
  ) {
    const GraphExec launches = record(stream_.get(), [&] {
      for (int i = 0; i < kLaunches; ++i) op(stream_.get());
    });
    for (int pass = 0; pass < 3; ++pass) {
      check(cudaEventRecord(begin_.get(), stream_.get()), "cudaEventRecord");
      check(cudaGraphLaunch(launches.get(), stream_.get()), "cudaGraphLaunch");
      check(cudaEventRecord(end_.get(), stream_.get()), "cudaEventRecord");
      check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
    }
    const double seconds = static_cast<double>(elapsed_ms(begin_, end_)) / 1e3 / kLaunches;
    fmt::print(
        "{:<16}{:>6} tokens {:>9.2f} us {:>8.1f} GB/s {:>5.0f} %\n",
        name,
        tokens,
        seconds * 1e6,
        bytes / seconds / 1e9,
        bytes / seconds / read_rate_ * 100
    );
  }

 private:
  double read_rate_;
  Stream stream_ = make_stream();
  Event begin_ = make_event();
  Event end_ = make_event();
};

void measure_step(Bench& bench, int tokens) {
  Memory memory;
  const double n = tokens;
  auto* x = memory.take<float>(std::int64_t{tokens} * kHidden);
  auto* scale = memory.take<__nv_bfloat16>(kHidden);
  auto* normed = memory.take<__nv_bfloat16>(std::int64_t{tokens} * kHidden);
  bench.measure("rms_norm", tokens, n * kHidden * 6, [&](cudaStream_t stream) {
    launch_rms_norm({x, scale, 1e-5F, normed, tensor::DType::kBF16, tokens, kHidden}, stream);
  });

  auto* positions = memory.take<std::int32_t>(tokens);
  auto* table = memory.take<float>(std::int64_t{tokens} * kHeadDim);
  RopeTableArgs rope{positions, table, tokens, kHeadDim / 2, 1.0, {}};
  rope.inverse_frequencies.fill(0.7);
  bench.measure("rope_table", tokens, n * (kHeadDim + 1) * 4, [&](cudaStream_t stream) {
    launch_rope_table(rope, stream);
  });

  std::vector<std::int32_t> slots(static_cast<std::size_t>(tokens));
  for (std::size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<std::int32_t>(i);
  auto* slot_mapping = memory.take<std::int32_t>(tokens);
  check(
      cudaMemcpy(slot_mapping, slots.data(), slots.size() * 4, cudaMemcpyHostToDevice), "cudaMemcpy"
  );
  const std::int64_t cells =
      (tokens / kBlockSize + 1) * std::int64_t{kKvHeads * kBlockSize * kHeadDim};
  const PlaceQkvArgs place{
      .qkv = memory.take<__nv_bfloat16>(std::int64_t{tokens} * kAllHeads * kHeadDim),
      .rope_table = table,
      .slot_mapping = slot_mapping,
      .q = memory.take<__nv_bfloat16>(std::int64_t{tokens} * kHeads * kHeadDim),
      .keys = memory.take<__nv_bfloat16>(cells),
      .values = memory.take<__nv_bfloat16>(cells),
      .num_tokens = tokens,
      .num_heads = kHeads,
      .num_kv_heads = kKvHeads,
  };
  bench.measure("place_qkv", tokens, n * kHeadDim * (kAllHeads * 4 + 4), [&](cudaStream_t stream) {
    launch_place_qkv(place, stream);
  });

  auto* logits = memory.take<float>(std::int64_t{tokens} * kExperts);
  auto* ids = memory.take<std::int32_t>(std::int64_t{tokens} * kPerToken);
  auto* weights = memory.take<float>(std::int64_t{tokens} * kPerToken);
  bench.measure("route", tokens, n * 4 * (kExperts + 2 * kPerToken), [&](cudaStream_t stream) {
    launch_route({logits, ids, weights, tokens, kExperts, kPerToken}, stream);
  });

  auto* down = memory.take<float>(std::int64_t{tokens} * kPerToken * kHidden);
  bench.measure(
      "combine_experts",
      tokens,
      n * kHidden * 4 * (kPerToken + 2),
      [&](cudaStream_t stream) {
        launch_combine_experts({down, weights, x, tokens, kPerToken, kHidden}, stream);
      }
  );
}

void run() {
  const auto rate = measure_read_bandwidth(0, std::size_t{8} << 30U, 11);
  if (!rate.ok()) throw std::runtime_error(rate.error().message);
  fmt::print("the device reads its own memory at {:.0f} GB/s\n", *rate / 1e9);
  Bench bench(*rate);
  for (const int tokens : {1, 8, 64, 512, 4096, 16384}) measure_step(bench, tokens);
}

}  // namespace
}  // namespace gossamer::kernels::cuda

int main() {
  gossamer::kernels::cuda::run();
}
