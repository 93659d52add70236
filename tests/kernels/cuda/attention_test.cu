#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_split.cuh"
#include "kernels/cuda/devices.h"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kHeadDim = kAttentionHeadDim;
const std::vector<int> kContexts = {1, 2, 15, 16, 17, 127, 128, 129, 130, 500, 2049};
const std::vector<int> kChunks = {1, 2, 15, 16, 17, 63, 64, 65, 200};

struct Sequence {
  int query_len;
  int context;
};

struct Case {
  std::vector<Sequence> sequences = {};
  int num_heads = 16;
  int num_kv_heads = 2;
  int sliding_window = 0;
  float query_deviation = 1;
  float sink_mean = 0;
  int max_context_len = 0;  // 0: the largest context
  int num_multiprocessors = 132;
};

void expect_ok(cudaError_t status) {
  ASSERT_EQ(status, cudaSuccess) << cudaGetErrorString(status);
}

/// An array on the device.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t size, int fill = 0) : size_(size) {
    expect_ok(cudaMalloc(&data_, size * sizeof(T)));
    expect_ok(cudaMemset(data_, fill, size * sizeof(T)));
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    assign(values);
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(data_); }

  T* data() const { return data_; }
  std::size_t size_bytes() const { return size_ * sizeof(T); }
  void assign(const std::vector<T>& values) {
    expect_ok(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  std::vector<T> values() const {
    std::vector<T> copied(size_);
    expect_ok(cudaMemcpy(copied.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
    return copied;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_;
};

std::vector<__nv_bfloat16> random_bf16(
    std::mt19937& random, std::size_t size, float mean, float deviation
) {
  std::normal_distribution<float> normal(mean, deviation);
  std::vector<__nv_bfloat16> values(size);
  for (auto& value : values) value = __float2bfloat16(normal(random));
  return values;
}

/// A step on the host: the inputs of a launch, and the keys and values as plain
/// [position][head][d].
struct HostStep {
  Case shape;
  std::vector<__nv_bfloat16> q, sinks, keys, values;
  std::vector<std::int32_t> cu_seqlens_q = {0};
  std::vector<std::int32_t> context_lens;
  std::vector<std::int32_t> block_table;
  std::vector<std::int32_t> block_table_starts = {0};
  std::vector<std::vector<float>> plain_keys, plain_values;  // of each sequence

  int num_tokens() const { return cu_seqlens_q.back(); }
  int group() const { return shape.num_heads / shape.num_kv_heads; }
};

/// First position that a query row of the sequence can still see.
int first_visible(const Sequence& sequence, int sliding_window) {
  const int position = sequence.context - sequence.query_len;
  return sliding_window > 0 ? std::max(0, position - sliding_window + 1) : 0;
}

/// Gives every block that the window has not passed a random place in the cache.
void place_blocks(HostStep& step, std::mt19937& random) {
  for (const Sequence& sequence : step.shape.sequences) {
    step.cu_seqlens_q.push_back(step.num_tokens() + sequence.query_len);
    step.context_lens.push_back(sequence.context);
    const int blocks = (sequence.context + kBlockSize - 1) / kBlockSize;
    const int passed = first_visible(sequence, step.shape.sliding_window) / kBlockSize;
    for (int b = 0; b < blocks; ++b) step.block_table.push_back(b < passed ? kNoBlock : 0);
    step.block_table_starts.push_back(static_cast<int>(step.block_table.size()));
  }
  std::vector<std::int32_t> places(step.block_table.size() + 3);
  std::iota(places.begin(), places.end(), 0);
  std::shuffle(places.begin(), places.end(), random);
  for (std::size_t b = 0; b < step.block_table.size(); ++b) {
    if (step.block_table[b] != kNoBlock) step.block_table[b] = places[b];
  }
  const std::size_t cells = places.size() * static_cast<std::size_t>(step.shape.num_kv_heads);
  // NaN wherever no sequence has a position.
  step.keys.assign(cells * kCellElements, __float2bfloat16(NAN));
  step.values = step.keys;
}

/// Fills the cache with random keys and values of the sequences.
void fill_cache(HostStep& step, std::mt19937& random) {
  const auto kv_heads = static_cast<std::size_t>(step.shape.num_kv_heads);
  for (std::size_t s = 0; s < step.shape.sequences.size(); ++s) {
    const auto context = static_cast<std::size_t>(step.shape.sequences[s].context);
    const auto keys = random_bf16(random, context * kv_heads * kHeadDim, 0, 1);
    const auto values = random_bf16(random, context * kv_heads * kHeadDim, 0, 1);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const std::size_t d = i % kHeadDim;
      const std::size_t head = i / kHeadDim % kv_heads;
      const std::size_t position = i / kHeadDim / kv_heads;
      const std::size_t entry =
          static_cast<std::size_t>(step.block_table_starts[s]) + position / kBlockSize;
      const int block = step.block_table[entry];
      if (block == kNoBlock) continue;
      const std::size_t cell = (static_cast<std::size_t>(block) * kv_heads + head) * kCellElements;
      const std::size_t offset = position % kBlockSize;
      step.keys[cell + offset * kHeadDim + d] = keys[i];
      step.values[cell + d * kBlockSize + offset] = values[i];
    }
    step.plain_keys.emplace_back(keys.begin(), keys.end());
    step.plain_values.emplace_back(values.begin(), values.end());
  }
}

HostStep make_step(const Case& shape, unsigned seed = 1) {
  std::mt19937 random(seed);
  HostStep step;
  step.shape = shape;
  place_blocks(step, random);
  fill_cache(step, random);
  const std::size_t rows = static_cast<std::size_t>(step.num_tokens() * shape.num_heads);
  step.q = random_bf16(random, rows * kHeadDim, 0, shape.query_deviation);
  step.sinks = random_bf16(random, static_cast<std::size_t>(shape.num_heads), shape.sink_mean, 1);
  return step;
}

/// A step on the device, ready to be launched.
class DeviceStep {
 public:
  explicit DeviceStep(const HostStep& step)
      : q_(step.q),
        sinks_(step.sinks),
        keys_(step.keys),
        values_(step.values),
        cu_seqlens_q_(step.cu_seqlens_q),
        context_lens_(step.context_lens),
        block_table_(step.block_table),
        block_table_starts_(step.block_table_starts),
        out_(step.q.size(), 0xFF),
        scratch_(scratch_bytes(step)) {
    args_ = {
        .q = q_.data(),
        .sinks = sinks_.data(),
        .keys = keys_.data(),
        .values = values_.data(),
        .cu_seqlens_q = cu_seqlens_q_.data(),
        .context_lens = context_lens_.data(),
        .block_table = block_table_.data(),
        .block_table_starts = block_table_starts_.data(),
        .num_sequences = static_cast<int>(step.shape.sequences.size()),
        .num_tokens = step.num_tokens(),
        .max_query_len = 0,
        .max_context_len = step.shape.max_context_len,
        .num_heads = step.shape.num_heads,
        .num_kv_heads = step.shape.num_kv_heads,
        .sliding_window = step.shape.sliding_window,
        .num_multiprocessors = step.shape.num_multiprocessors,
        .out = out_.data(),
        .scratch = scratch_.data(),
    };
    for (const Sequence& sequence : step.shape.sequences) {
      args_.max_query_len = std::max(args_.max_query_len, sequence.query_len);
      args_.max_context_len = std::max(args_.max_context_len, sequence.context);
    }
  }

  const AttentionKernelArgs& args() const { return args_; }
  DeviceArray<std::int32_t>& context_lens() { return context_lens_; }

  /// Launches twice, over poisoned results, and expects the same bits.
  std::vector<__nv_bfloat16> run_twice() {
    const auto first = run();
    const auto second = run();
    EXPECT_EQ(std::memcmp(first.data(), second.data(), first.size() * sizeof(first[0])), 0);
    return second;
  }

  std::vector<__nv_bfloat16> run() {
    poison();
    launch_attention(args_, nullptr);
    return result();
  }

  void poison() { expect_ok(cudaMemset(out_.data(), 0xFF, out_.size_bytes())); }
  std::vector<__nv_bfloat16> result() {
    expect_ok(cudaDeviceSynchronize());
    return out_.values();
  }

 private:
  static std::size_t scratch_bytes(const HostStep& step) {
    return attention_scratch_bytes({
        .max_sequences = static_cast<int>(step.shape.sequences.size()),
        .max_context_len = 1 << 17,
        .num_heads = step.shape.num_heads,
        .num_kv_heads = step.shape.num_kv_heads,
        .num_multiprocessors = step.shape.num_multiprocessors,
    });
  }

  DeviceArray<__nv_bfloat16> q_, sinks_, keys_, values_;
  DeviceArray<std::int32_t> cu_seqlens_q_, context_lens_, block_table_, block_table_starts_;
  DeviceArray<__nv_bfloat16> out_;
  DeviceArray<std::byte> scratch_;
  AttentionKernelArgs args_;
};

/// One row of one head in double: the result, and the same sum over absolute values, which is what
/// rounding errors are relative to.
struct ExpectedRow {
  double out[kHeadDim] = {};
  double magnitude[kHeadDim] = {};
  double largest_score = 0;
};

ExpectedRow expected_row(const HostStep& step, std::size_t sequence, int token, int head) {
  const Sequence& shape = step.shape.sequences[sequence];
  const int position = shape.context - shape.query_len + token;
  const int first =
      step.shape.sliding_window > 0 ? std::max(0, position - step.shape.sliding_window + 1) : 0;
  const auto at = [&](int key) {
    return static_cast<std::size_t>(key * step.shape.num_kv_heads + head / step.group()) * kHeadDim;
  };
  float q[kHeadDim];
  const std::size_t row =
      static_cast<std::size_t>((step.cu_seqlens_q[sequence] + token) * step.shape.num_heads + head);
  for (std::size_t d = 0; d < kHeadDim; ++d) q[d] = __bfloat162float(step.q[row * kHeadDim + d]);

  std::vector<double> scores;
  double max = __bfloat162float(step.sinks[static_cast<std::size_t>(head)]);
  ExpectedRow expected;
  for (int key = first; key <= position; ++key) {
    const float* k = step.plain_keys[sequence].data() + at(key);
    double dot = 0;
    for (std::size_t d = 0; d < kHeadDim; ++d) dot += static_cast<double>(q[d]) * k[d];
    scores.push_back(dot / 8);
    max = std::max(max, scores.back());
    expected.largest_score = std::max(expected.largest_score, std::abs(scores.back()));
  }
  double sum = std::exp(__bfloat162float(step.sinks[static_cast<std::size_t>(head)]) - max);
  for (double& score : scores) sum += score = std::exp(score - max);
  for (int key = first; key <= position; ++key) {
    const float* v = step.plain_values[sequence].data() + at(key);
    const double weight = scores[static_cast<std::size_t>(key - first)] / sum;
    for (std::size_t d = 0; d < kHeadDim; ++d) {
      expected.out[d] += weight * v[d];
      expected.magnitude[d] += weight * std::abs(v[d]);
    }
  }
  return expected;
}

/// Each result within the roundings of p and of itself to BF16 (2^-8 each), and those of scores to
/// float, which grow with the scores; and all together within what random roundings add up to.
void expect_close(const HostStep& step, const std::vector<__nv_bfloat16>& out) {
  double squared_error = 0;
  double squared_norm = 0;
  double largest_score = 0;
  for (std::size_t s = 0; s < step.shape.sequences.size(); ++s) {
    for (int token = 0; token < step.shape.sequences[s].query_len; ++token) {
      for (int head = 0; head < step.shape.num_heads; ++head) {
        const ExpectedRow expected = expected_row(step, s, token, head);
        largest_score = std::max(largest_score, expected.largest_score);
        const int row = (step.cu_seqlens_q[s] + token) * step.shape.num_heads + head;
        for (int d = 0; d < kHeadDim; ++d) {
          const double actual = __bfloat162float(out[static_cast<std::size_t>(row * kHeadDim + d)]);
          const double tolerance =
              (1.0 / 127 + 1e-6 * expected.largest_score) * expected.magnitude[d] + 1e-30;
          const double error = std::abs(actual - expected.out[d]);
          squared_error += error * error;
          squared_norm += expected.out[d] * expected.out[d];
          ASSERT_LE(error, tolerance)
              << "context " << step.shape.sequences[s].context << ", query_len "
              << step.shape.sequences[s].query_len << ", window " << step.shape.sliding_window
              << ", heads " << step.shape.num_heads << ": token " << token << ", head " << head
              << ", d " << d << ": " << actual << " is not " << expected.out[d];
        }
      }
    }
  }
  EXPECT_LE(std::sqrt(squared_error), (1.0 / 256 + 1e-6 * largest_score) * std::sqrt(squared_norm))
      << "window " << step.shape.sliding_window << ", heads " << step.shape.num_heads;
}

void expect_correct(const Case& shape, unsigned seed = 1) {
  const HostStep step = make_step(shape, seed);
  DeviceStep device(step);
  expect_close(step, device.run_twice());
}

class CudaAttentionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto devices = list_cuda_devices();
    if (!devices.ok()) GTEST_SKIP() << devices.error().message;
  }
};

/// Shapes that every batch below is tried with: windows, and 8 or 4 query heads to a kv head.
std::vector<Case> shapes() {
  std::vector<Case> shapes;
  for (const int window : {0, 32, 128}) {
    shapes.push_back({.num_heads = 16, .sliding_window = window});
    shapes.push_back({.num_heads = 8, .sliding_window = window});
  }
  return shapes;
}

TEST_F(CudaAttentionTest, DecodesOneSequence) {
  for (Case shape : shapes()) {
    for (const int context : kContexts) {
      shape.sequences = {{1, context}};
      expect_correct(shape);
    }
  }
}

TEST_F(CudaAttentionTest, DecodesABatchOfContexts) {
  for (Case shape : shapes()) {
    for (const int context : kContexts) shape.sequences.push_back({1, context});
    expect_correct(shape);
  }
}

TEST_F(CudaAttentionTest, GridsForLongerContextsAndOtherDevicesGiveTheSame) {
  for (const int multiprocessors : {1, 20, 132}) {
    for (const int max_context_len : {4096, 131072}) {
      Case shape{.max_context_len = max_context_len, .num_multiprocessors = multiprocessors};
      shape.sequences = {{1, 2049}, {1, 17}};
      expect_correct(shape);
      shape.sequences = {{40, 2049}};
      expect_correct(shape);
    }
  }
}

TEST_F(CudaAttentionTest, RunsChunksOfOneSequence) {
  for (Case shape : shapes()) {
    for (const int chunk : kChunks) {
      for (const int context : {chunk, 130, 500}) {
        if (context < chunk) continue;
        shape.sequences = {{chunk, context}};
        expect_correct(shape);
      }
    }
    shape.sequences = {{65, 2049}};
    expect_correct(shape);
  }
}

TEST_F(CudaAttentionTest, RunsDecodeAndPrefillInOneBatch) {
  for (Case shape : shapes()) {
    for (const int chunk : kChunks) {
      for (const int context : {1, 16, 129, 500}) {
        shape.sequences.push_back({chunk, std::max(chunk, context)});
      }
    }
    std::shuffle(shape.sequences.begin(), shape.sequences.end(), std::mt19937(3));
    expect_correct(shape);
  }
}

TEST_F(CudaAttentionTest, LargeScoresAndSinksOverflowNothing) {
  for (const float query_deviation : {30.0F, 3000.0F}) {
    expect_correct(
        {.sequences = {{1, 500}, {65, 130}, {1, 2049}}, .query_deviation = query_deviation}
    );
  }
  for (const float sink : {-1000.0F, -30.0F, 30.0F}) {
    expect_correct({.sequences = {{1, 500}, {65, 130}, {1, 2049}}, .sink_mean = sink});
    expect_correct({.sequences = {{64, 2049}}, .sink_mean = sink});
  }
}

TEST_F(CudaAttentionTest, ASinkFarAboveTheScoresLeavesNothing) {
  DeviceStep device(make_step({.sequences = {{1, 500}, {65, 130}}, .sink_mean = 3000}));
  for (const __nv_bfloat16 value : device.run()) ASSERT_EQ(__bfloat162float(value), 0);
}

TEST_F(CudaAttentionTest, AGraphServesGrowingContexts) {
  HostStep step = make_step({.sequences = {{1, 700}, {1, 90}}, .max_context_len = 1024});
  DeviceStep device(step);
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  expect_ok(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  expect_ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  launch_attention(device.args(), stream);
  expect_ok(cudaStreamEndCapture(stream, &graph));
  expect_ok(cudaGraphInstantiate(&exec, graph));
  for (const std::vector<int>& contexts : {std::vector{1, 1}, {400, 17}, {513, 89}, {700, 90}}) {
    step.context_lens = contexts;
    for (std::size_t s = 0; s < 2; ++s) step.shape.sequences[s].context = contexts[s];
    device.context_lens().assign(step.context_lens);
    device.poison();
    expect_ok(cudaDeviceSynchronize());
    expect_ok(cudaGraphLaunch(exec, stream));
    expect_close(step, device.result());
  }
  expect_ok(cudaGraphExecDestroy(exec));
  expect_ok(cudaGraphDestroy(graph));
  expect_ok(cudaStreamDestroy(stream));
}

TEST_F(CudaAttentionTest, AnEmptyPlaceInABatchIsHarmless) {
  const HostStep step = make_step({.sequences = {{1, 40}, {1, 0}, {1, 300}}});
  const auto out = DeviceStep(step).run();
  expect_close(step, out);
}

TEST(AttentionSplitTest, FewSequencesAreSplitUntilTheDeviceIsFull) {
  EXPECT_EQ(attention_decode_splits(1, 8, 131072, 132), 33);
  EXPECT_EQ(attention_decode_splits(2, 8, 8192, 132), 16);
  EXPECT_EQ(attention_decode_splits(8, 8, 8192, 132), 4);
  EXPECT_EQ(attention_decode_splits(64, 8, 4096, 132), 1);
}

TEST(AttentionSplitTest, ShortContextsAreNotSplitBelowWhatPays) {
  EXPECT_EQ(attention_decode_splits(1, 8, 1, 132), 1);
  EXPECT_EQ(attention_decode_splits(1, 8, 128, 132), 1);
  EXPECT_EQ(attention_decode_splits(1, 8, 1024, 132), 8);
}

TEST(AttentionSplitTest, OneLongSequenceDoesNotKeepABatchWaiting) {
  EXPECT_EQ(attention_decode_splits(64, 8, 8192, 132), 2);
  EXPECT_EQ(attention_decode_splits(64, 8, 131072, 132), 8);
}

TEST(AttentionSplitTest, FewTilesOfLongContextsAreSplit) {
  EXPECT_EQ(attention_prefill_splits(128, 8, 131072, 132), 1);
  EXPECT_EQ(attention_prefill_splits(1, 8, 131072, 132), 33);
  EXPECT_EQ(attention_prefill_splits(1, 8, 2048, 132), 4);
  EXPECT_EQ(attention_prefill_splits(1, 8, 200, 132), 1);
}

TEST(AttentionSplitTest, StatesFitTheScratch) {
  for (const int multiprocessors : {1, 20, 132}) {
    for (const int kv_heads : {1, 2, 8}) {
      for (int count = 1; count <= 1024; count *= 2) {
        for (const int keys : {1, 159, 8192, 131072}) {
          const auto decode = static_cast<std::size_t>(
              attention_decode_splits(count, kv_heads, keys, multiprocessors)
          );
          const auto prefill = static_cast<std::size_t>(
              attention_prefill_splits(count, kv_heads, keys, multiprocessors)
          );
          const auto pairs = static_cast<std::size_t>(count * kv_heads);
          const std::size_t rows = partial_rows(multiprocessors);
          if (decode > 1) EXPECT_LE(pairs * decode * kMaxGroup, rows);
          if (prefill > 1) EXPECT_LE(pairs * prefill * kPrefillRows, rows);
        }
      }
    }
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda
