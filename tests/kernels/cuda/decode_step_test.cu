// The persistent decode step against a plain forward pass in double precision, with the same
// weights and the same cache.

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/cuda/decode_step.cuh"
#include "kernels/cuda/devices.h"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/pack_weights.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/step.h"
#include "tensor/dtype.h"
#include "tensor/mxfp4.h"

namespace gossamer::kernels::cuda {
namespace {

using tensor::BFloat16;
constexpr int kDim = 64;

/// Device memory of a test, freed with it.
class Arena {
 public:
  std::byte* make(std::size_t size_bytes) {
    auto buffer = DeviceBuffer::allocate(size_bytes);
    GOSSAMER_CHECK(buffer.ok());
    buffers_.push_back(std::move(buffer).value());
    return buffers_.back()->data();
  }
  template <class T>
  std::byte* upload(const std::vector<T>& values) {
    std::byte* data = make(values.size() * sizeof(T));
    check(
        cudaMemcpy(data, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "upload"
    );
    return data;
  }

 private:
  std::vector<std::unique_ptr<DeviceBuffer>> buffers_;
};

/// A matrix on the host as doubles and on the device as packed.
struct Matrix {
  std::vector<double> values;  // [matrices, rows, columns]
  const std::byte* packed = nullptr;
};
struct Vector {
  std::vector<double> values;
  const __nv_bfloat16* device = nullptr;
};

class Maker {
 public:
  Maker(Arena& arena, std::uint64_t seed) : arena_(&arena), random_(seed) {}

  std::vector<BFloat16> bf16(std::size_t count, float deviation, float mean = 0) {
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<BFloat16> values(count);
    for (BFloat16& value : values) value = BFloat16::from_float(normal(random_));
    return values;
  }
  Vector vector(std::size_t count, float deviation, float mean = 0) {
    const auto values = bf16(count, deviation, mean);
    return {doubles(values), reinterpret_cast<const __nv_bfloat16*>(arena_->upload(values))};
  }
  Matrix dense(std::int64_t rows, std::int64_t columns) {
    const auto values = bf16(rows * columns, 1.0F / std::sqrt(static_cast<float>(columns)));
    const std::byte* plain = arena_->upload(values);
    std::byte* packed = arena_->make(packed_bf16_bytes(rows, columns));
    launch_pack_bf16(
        {reinterpret_cast<const std::uint16_t*>(plain), packed, rows, columns}, nullptr
    );
    check(cudaDeviceSynchronize(), "pack");
    return {doubles(values), packed};
  }
  Matrix experts(std::int64_t count, std::int64_t rows, std::int64_t columns) {
    const std::size_t num_blocks = count * rows * columns / 32;
    std::vector<std::uint8_t> blocks(num_blocks * 16);
    std::vector<std::uint8_t> scales(num_blocks);
    for (auto& byte : blocks) byte = static_cast<std::uint8_t>(random_());
    for (auto& byte : scales) byte = static_cast<std::uint8_t>(118 + random_() % 4);
    Matrix matrix;
    matrix.values.resize(num_blocks * 32);
    for (std::size_t i = 0; i < num_blocks; ++i) {
      tensor::decode_mxfp4_block(
          std::span<const std::uint8_t, 16>(blocks.data() + i * 16, 16),
          scales[i],
          std::span<double, 32>(matrix.values.data() + i * 32, 32)
      );
    }
    std::byte* packed = arena_->make(count * packed_fp4_bytes(rows, columns));
    launch_pack_fp4(
        {reinterpret_cast<const std::uint8_t*>(arena_->upload(blocks)),
         reinterpret_cast<const std::uint8_t*>(arena_->upload(scales)),
         packed,
         count * rows,
         columns},
        nullptr
    );
    check(cudaDeviceSynchronize(), "pack");
    matrix.packed = packed;
    return matrix;
  }

  /// The numbers of the blocks, in random order.
  std::vector<std::int32_t> block_table(int num_blocks) {
    std::vector<std::int32_t> table(num_blocks);
    std::iota(table.begin(), table.end(), 0);
    std::shuffle(table.begin(), table.end(), random_);
    return table;
  }

  static std::vector<double> doubles(const std::vector<BFloat16>& values) {
    std::vector<double> out(values.size());
    std::transform(values.begin(), values.end(), out.begin(), [](BFloat16 value) {
      return static_cast<double>(value.to_float());
    });
    return out;
  }

 private:
  Arena* arena_;
  std::mt19937_64 random_;
};

struct TestLayer {
  Matrix qkv, attn_out, router, gate_up, down;
  Vector attn_norm, qkv_bias, sinks, attn_out_bias, mlp_norm, router_bias, gate_up_bias, down_bias;
  std::vector<double> keys, values;  // [position, kv head, dim], of the cache, before this token
  int window;
};

/// A random model with a cache that holds `position` tokens.
struct TestModel {
  Arena arena;
  DecodeShape shape;
  int position;
  std::vector<double> frequencies;
  Matrix unembedding;
  Vector embedding, norm;
  std::vector<TestLayer> layers;
  std::vector<DecodeLayer> device_layers;
  std::vector<std::int32_t> full_table, sliding_table;
  DecodeStepArgs args{};

  TestModel(const DecodeShape& model_shape, int at, int window, std::uint64_t seed)
      : shape(model_shape), position(at) {
    Maker maker(arena, seed);
    full_table = maker.block_table(position / kBlockSize + 1);
    sliding_table = maker.block_table(position / kBlockSize + 1);
    for (int i = 0; i < kDim / 2; ++i) frequencies.push_back(std::pow(150000.0, -i / 32.0));
    embedding = maker.vector(static_cast<std::size_t>(shape.vocab) * shape.hidden, 1);
    norm = maker.vector(shape.hidden, 0.2F, 1);
    unembedding = maker.dense(shape.vocab, shape.hidden);
    for (int i = 0; i < shape.num_layers; ++i) add_layer(maker, i % 2 == 0 ? window : 0);
    const std::int32_t token = shape.vocab - 3;
    args.shape = shape;
    args.layers = reinterpret_cast<const DecodeLayer*>(arena.upload(device_layers));
    args.embedding = embedding.device;
    args.norm = norm.device;
    args.unembedding = unembedding.packed;
    args.inverse_frequencies = reinterpret_cast<const double*>(arena.upload(frequencies));
    args.token = reinterpret_cast<const std::int32_t*>(arena.upload(std::vector{token}));
    args.position = reinterpret_cast<const std::int32_t*>(arena.upload(std::vector{position}));
    upload_tables();
    args.scratch = arena.make(decode_scratch_bytes(shape));
    args.logits = reinterpret_cast<float*>(arena.make(shape.vocab * sizeof(float)));
  }

  /// Both tables in one array, behind others'.
  void upload_tables() {
    std::vector<std::int32_t> tables(3, 1'000'000);
    const std::vector full_start = {static_cast<std::int32_t>(tables.size())};
    tables.insert(tables.end(), full_table.begin(), full_table.end());
    const std::vector sliding_start = {static_cast<std::int32_t>(tables.size())};
    tables.insert(tables.end(), sliding_table.begin(), sliding_table.end());
    args.block_tables = reinterpret_cast<const std::int32_t*>(arena.upload(tables));
    args.full_start = reinterpret_cast<const std::int32_t*>(arena.upload(full_start));
    args.sliding_start = reinterpret_cast<const std::int32_t*>(arena.upload(sliding_start));
  }

  void add_layer(Maker& maker, int window) {
    TestLayer layer;
    const int qkv_rows = (shape.num_heads + 2 * shape.num_kv_heads) * kDim;
    layer.qkv = maker.dense(qkv_rows, shape.hidden);
    layer.attn_out = maker.dense(shape.hidden, shape.num_heads * kDim);
    layer.router = maker.dense(shape.num_experts, shape.hidden);
    layer.gate_up = maker.experts(shape.num_experts, 2 * shape.intermediate, shape.hidden);
    layer.down = maker.experts(shape.num_experts, shape.hidden, shape.intermediate);
    layer.attn_norm = maker.vector(shape.hidden, 0.2F, 1);
    layer.qkv_bias = maker.vector(qkv_rows, 0.2F);
    layer.sinks = maker.vector(shape.num_heads, 1);
    layer.attn_out_bias = maker.vector(shape.hidden, 0.2F);
    layer.mlp_norm = maker.vector(shape.hidden, 0.2F, 1);
    layer.router_bias = maker.vector(shape.num_experts, 0.2F);
    layer.gate_up_bias =
        maker.vector(static_cast<std::size_t>(shape.num_experts) * 2 * shape.intermediate, 0.2F);
    layer.down_bias =
        maker.vector(static_cast<std::size_t>(shape.num_experts) * shape.hidden, 0.2F);
    layer.window = window;
    // The cells in the device's order, filled with what must never be read where no position is.
    const std::vector<std::int32_t>& table = window > 0 ? sliding_table : full_table;
    const std::size_t cells = table.size() * shape.num_kv_heads * kBlockSize * kDim;
    std::vector<BFloat16> keys(cells, BFloat16{0x7FC0});
    std::vector<BFloat16> values(cells, BFloat16{0x7FC0});
    for (int p = 0; p < position; ++p) {
      for (int h = 0; h < shape.num_kv_heads; ++h) {
        const auto key = maker.bf16(kDim, 1);
        const auto value = maker.bf16(kDim, 1);
        const std::size_t cell =
            static_cast<std::size_t>(table[p / kBlockSize]) * shape.num_kv_heads + h;
        for (int d = 0; d < kDim; ++d) {
          keys[(cell * kBlockSize + p % kBlockSize) * kDim + d] = key[d];
          values[(cell * kDim + d) * kBlockSize + p % kBlockSize] = value[d];
        }
        const auto k = Maker::doubles(key);
        const auto v = Maker::doubles(value);
        layer.keys.insert(layer.keys.end(), k.begin(), k.end());
        layer.values.insert(layer.values.end(), v.begin(), v.end());
      }
    }
    device_layers.push_back({
        layer.qkv.packed,
        layer.attn_out.packed,
        layer.router.packed,
        layer.gate_up.packed,
        layer.down.packed,
        layer.attn_norm.device,
        layer.qkv_bias.device,
        layer.sinks.device,
        layer.attn_out_bias.device,
        layer.mlp_norm.device,
        layer.router_bias.device,
        layer.gate_up_bias.device,
        layer.down_bias.device,
        reinterpret_cast<__nv_bfloat16*>(arena.upload(keys)),
        reinterpret_cast<__nv_bfloat16*>(arena.upload(values)),
        window,
    });
    layers.push_back(std::move(layer));
  }
};

// --- the plain forward pass ---

using Doubles = std::vector<double>;

Doubles rms_norm(const Doubles& x, const Doubles& scale, double eps) {
  double squares = 0;
  for (const double value : x) squares += value * value;
  const double factor = 1 / std::sqrt(squares / static_cast<double>(x.size()) + eps);
  Doubles y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i] * factor * scale[i];
  return y;
}

Doubles multiply(const double* weight, const double* bias, const Doubles& x, int rows) {
  Doubles y(rows);
  for (int r = 0; r < rows; ++r) {
    double sum = bias != nullptr ? bias[r] : 0;
    for (std::size_t c = 0; c < x.size(); ++c) sum += weight[r * x.size() + c] * x[c];
    y[r] = sum;
  }
  return y;
}

void rotate(double* head, const TestModel& model) {
  for (int i = 0; i < 32; ++i) {
    const double angle = model.position * model.frequencies[i];
    const double c = std::cos(angle) * model.shape.rope_concentration;
    const double s = std::sin(angle) * model.shape.rope_concentration;
    const double a = head[i];
    const double b = head[i + 32];
    head[i] = a * c - b * s;
    head[i + 32] = b * c + a * s;
  }
}

Doubles attend(TestLayer& layer, const TestModel& model, Doubles& qkv) {
  const DecodeShape& shape = model.shape;
  for (int h = 0; h < shape.num_heads + shape.num_kv_heads; ++h) rotate(&qkv[h * kDim], model);
  const double* k = &qkv[shape.num_heads * kDim];
  layer.keys.insert(layer.keys.end(), k, k + shape.num_kv_heads * kDim);
  const double* v = k + shape.num_kv_heads * kDim;
  layer.values.insert(layer.values.end(), v, v + shape.num_kv_heads * kDim);
  const int begin = layer.window > 0 ? std::max(0, model.position + 1 - layer.window) : 0;
  Doubles out(shape.num_heads * kDim);
  for (int h = 0; h < shape.num_heads; ++h) {
    const int kv = h / (shape.num_heads / shape.num_kv_heads);
    double largest = layer.sinks.values[h];
    Doubles scores;
    for (int p = begin; p <= model.position; ++p) {
      double score = 0;
      for (int d = 0; d < kDim; ++d) {
        score += qkv[h * kDim + d] * layer.keys[(p * shape.num_kv_heads + kv) * kDim + d];
      }
      scores.push_back(score / 8);
      largest = std::max(largest, scores.back());
    }
    double sum = std::exp(layer.sinks.values[h] - largest);
    for (double& score : scores) sum += score = std::exp(score - largest);
    for (int p = begin; p <= model.position; ++p) {
      for (int d = 0; d < kDim; ++d) {
        out[h * kDim + d] +=
            scores[p - begin] / sum * layer.values[(p * shape.num_kv_heads + kv) * kDim + d];
      }
    }
  }
  return out;
}

void add_experts(const TestLayer& layer, const DecodeShape& shape, Doubles& x) {
  const Doubles normed = rms_norm(x, layer.mlp_norm.values, shape.rms_norm_eps);
  const Doubles logits = multiply(
      layer.router.values.data(), layer.router_bias.values.data(), normed, shape.num_experts
  );
  std::vector<int> order(shape.num_experts);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  double total = 0;
  for (int j = 0; j < 4; ++j) total += std::exp(logits[order[j]] - logits[order[0]]);
  const std::size_t hidden = shape.hidden;
  const std::size_t inter = shape.intermediate;
  for (int j = 0; j < 4; ++j) {
    const std::size_t e = order[j];
    const Doubles gate_up = multiply(
        &layer.gate_up.values[e * 2 * inter * hidden],
        &layer.gate_up_bias.values[e * 2 * inter],
        normed,
        2 * shape.intermediate
    );
    Doubles h(inter);
    for (std::size_t c = 0; c < inter; ++c) {
      const double u = std::min(gate_up[2 * c], 7.0);
      const double v = std::clamp(gate_up[2 * c + 1], -7.0, 7.0);
      h[c] = u / (1 + std::exp(-1.702 * u)) * (v + 1);
    }
    const Doubles y = multiply(
        &layer.down.values[e * hidden * inter], &layer.down_bias.values[e * hidden], h, shape.hidden
    );
    for (std::size_t i = 0; i < hidden; ++i)
      x[i] += std::exp(logits[e] - logits[order[0]]) / total * y[i];
  }
}

Doubles forward(TestModel& model) {
  const DecodeShape& shape = model.shape;
  const std::size_t token = shape.vocab - 3;
  const auto* row = &model.embedding.values[token * shape.hidden];
  Doubles x(row, row + shape.hidden);
  for (TestLayer& layer : model.layers) {
    const Doubles normed = rms_norm(x, layer.attn_norm.values, shape.rms_norm_eps);
    Doubles qkv = multiply(
        layer.qkv.values.data(),
        layer.qkv_bias.values.data(),
        normed,
        (shape.num_heads + 2 * shape.num_kv_heads) * kDim
    );
    const Doubles attention = attend(layer, model, qkv);
    const Doubles out = multiply(
        layer.attn_out.values.data(), layer.attn_out_bias.values.data(), attention, shape.hidden
    );
    for (int i = 0; i < shape.hidden; ++i) x[i] += out[i];
    add_experts(layer, shape, x);
  }
  const Doubles normed = rms_norm(x, model.norm.values, shape.rms_norm_eps);
  return multiply(model.unembedding.values.data(), nullptr, normed, shape.vocab);
}

// --- tests ---

std::vector<float> run(TestModel& model, int device) {
  const int num_blocks = prepare_decode_step(model.shape, device);
  check(cudaMemset(model.args.logits, 0xFF, model.shape.vocab * sizeof(float)), "cudaMemset");
  launch_decode_step(model.args, num_blocks, nullptr);
  check(cudaDeviceSynchronize(), "decode_step");
  std::vector<float> logits(model.shape.vocab);
  check(
      cudaMemcpy(
          logits.data(), model.args.logits, logits.size() * sizeof(float), cudaMemcpyDeviceToHost
      ),
      "cudaMemcpy"
  );
  return logits;
}

double relative_error(const std::vector<float>& values, const Doubles& expected) {
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(values[i] - expected[i], 2);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

class DecodeStepTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto devices = list_cuda_devices();
    if (!devices.ok()) GTEST_SKIP() << devices.error().message;
    if (!can_decode_persistently(small_, 0)) GTEST_SKIP() << "needs sm_90 and its shared memory";
  }

  void expect_matches(const DecodeShape& shape, int position, int window) {
    TestModel model(shape, position, window, 7 + position);
    const std::vector<float> logits = run(model, 0);
    const std::vector<float> again = run(model, 0);
    EXPECT_EQ(std::memcmp(logits.data(), again.data(), logits.size() * sizeof(float)), 0)
        << "not deterministic, position " << position;
    const double error = relative_error(logits, forward(model));
    // New keys and values are rounded to bf16; everything else keeps 16 bits or more.
    EXPECT_LE(error, 2e-3) << "position " << position << ", first logit " << logits[0];
    RecordProperty("error", std::to_string(error));
  }

  DecodeShape small_{3, 192, 160, 8, 2, 8, 1024, 1e-5F, 7.0F, 1.3465735F};
};

TEST_F(DecodeStepTest, MatchesAPlainForwardPassOnASmallModel) {
  for (const int position : {0, 1, 15, 16, 31, 32, 33, 100}) expect_matches(small_, position, 32);
}

TEST_F(DecodeStepTest, MatchesWithWidthsThatFillNoWholeUnit) {
  const DecodeShape shape{2, 288, 224, 16, 2, 16, 1040, 1e-5F, 7.0F, 1.0F};
  for (const int position : {3, 127, 128, 129}) expect_matches(shape, position, 128);
}

TEST_F(DecodeStepTest, MatchesWhenBlocksShareAHeadOfALongContext) {
  for (const int position : {511, 512, 1030, 9000}) expect_matches(small_, position, 128);
}

TEST_F(DecodeStepTest, MatchesWithManyExpertsAndTiles) {
  expect_matches({3, 192, 160, 8, 2, 128, 20000, 1e-5F, 7.0F, 1.3465735F}, 20, 32);
}

TEST_F(DecodeStepTest, MatchesAtTheReleasedWidths) {
  expect_matches({2, 2880, 2880, 64, 8, 6, 4160, 1e-5F, 7.0F, 1.3465735F}, 600, 128);
}

}  // namespace
}  // namespace gossamer::kernels::cuda
