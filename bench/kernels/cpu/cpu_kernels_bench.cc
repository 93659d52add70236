// Times the CPU's products and attention on one core, on data that stays in its caches.
//
//   cpu_kernels_bench [--benchmark_filter=...]
//
// "FMA" is multiply-adds a second; a core with two AVX2 units does 16 a cycle.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/panel_matmul.h"
#include "tensor/buffer.h"

namespace gossamer::kernels::cpu {
namespace {

void count_fmas(benchmark::State& state, std::size_t fmas) {
  state.counters["FMA"] = benchmark::Counter(
      static_cast<double>(fmas) * static_cast<double>(state.iterations()),
      benchmark::Counter::kIsRate
  );
}

/// Activations and results of a product, and the scratch of one thread.
class Activations {
 public:
  Activations(std::size_t tokens, std::size_t rows, std::size_t columns)
      : x_(tokens * columns, 0.5F), y_(tokens * rows), scratch_(panel_scratch_floats()) {
    for (std::size_t t = 0; t < tokens; ++t) {
      from_.push_back(x_.data() + t * columns);
      to_.push_back(y_.data() + t * rows);
    }
  }

  Rows rows() const { return {from_.data(), to_.data(), from_.size()}; }
  float* scratch() { return scratch_.data(); }

 private:
  std::vector<float> x_;
  std::vector<float> y_;
  std::vector<float> scratch_;
  std::vector<const float*> from_;
  std::vector<float*> to_;
};

struct ProductSize {
  std::size_t tokens;
  std::size_t rows;
  std::size_t columns;

  explicit ProductSize(const benchmark::State& state)
      : tokens(static_cast<std::size_t>(state.range(0))),
        rows(static_cast<std::size_t>(state.range(1))),
        columns(static_cast<std::size_t>(state.range(2))) {}
};

/// multiply(rows, scratch).
template <class Multiply>
void time_product(benchmark::State& state, const ProductSize& size, const Multiply& multiply) {
  Activations activations(size.tokens, size.rows, size.columns);
  for (auto _ : state) multiply(activations.rows(), activations.scratch());
  count_fmas(state, size.tokens * size.rows * size.columns);
}

void bf16_product(benchmark::State& state) {
  const ProductSize size(state);
  const std::vector<BFloat16> weight(size.rows * size.columns, BFloat16::from_float(0.25F));
  const Bf16Matrix matrix{weight.data(), nullptr, size.columns};
  time_product(state, size, [&](const Rows& rows, float* scratch) {
    matmul_bf16(matrix, {0, size.rows}, rows, Store::kAssign, scratch);
  });
}

void mxfp4_product(benchmark::State& state) {
  const ProductSize size(state);
  const std::vector<std::uint8_t> blocks(size.rows * size.columns / 2, 0x29);
  const std::vector<std::uint8_t> scales(size.rows * size.columns / 32, 126);
  const Mxfp4Matrix matrix{blocks.data(), scales.data(), nullptr, size.columns};
  time_product(state, size, [&](const Rows& rows, float* scratch) {
    matmul_mxfp4(matrix, {0, size.rows}, rows, Store::kAssign, scratch);
  });
}

/// One token of each of `sequences` sequences, behind `context` keys of its own, all KV heads.
void decode_attention(benchmark::State& state) {
  const auto sequences = static_cast<std::size_t>(state.range(0));
  const auto context = static_cast<std::size_t>(state.range(1));
  const auto group = static_cast<std::size_t>(state.range(2));
  constexpr std::size_t kKvHeads = 2;
  constexpr std::size_t kHeadDim = 64;
  const std::size_t blocks = (context + kBlockSize - 1) / kBlockSize;
  const tensor::Shape shape{
      static_cast<std::int64_t>(sequences * blocks), kKvHeads, kBlockSize, kHeadDim};
  const auto kv_dtype = state.range(3) == 16 ? tensor::DType::kF16 : tensor::DType::kF32;
  const std::size_t bytes =
      static_cast<std::size_t>(shape.num_elements()) * tensor::size_of(kv_dtype);
  const auto memory = tensor::HostBuffer::allocate(2 * bytes);
  GOSSAMER_CHECK(memory.ok());
  (*memory)->commit(0, 2 * bytes);
  const KvCells cells{
      (*memory)->view(0, kv_dtype, shape),
      (*memory)->view(bytes, kv_dtype, shape),
      kKvHeads,
      kHeadDim};
  const std::vector<float> q(kKvHeads * group * kHeadDim, 0.3F);
  std::vector<float> out(q.size());
  const std::vector<BFloat16> sinks(group, BFloat16::from_float(0.0F));
  std::vector<float> scratch(attention_scratch_floats(group));
  std::vector<BlockId> table(sequences * blocks);
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<BlockId>(i);
  for (auto _ : state) {
    for (std::size_t task = 0; task < sequences * kKvHeads; ++task) {
      const std::size_t head = task % kKvHeads;
      attend(
          cells,
          {.q = q.data() + head * group * kHeadDim,
           .out = out.data() + head * group * kHeadDim,
           .token_stride = q.size(),
           .num_tokens = 1,
           .group_size = group,
           .sinks = sinks.data(),
           .kv_head = head,
           .position = static_cast<std::int64_t>(context) - 1,
           .window = 0,
           .block_table = std::span(table).subspan(task / kKvHeads * blocks, blocks)},
          scratch.data()
      );
    }
  }
  count_fmas(state, 2 * sequences * context * kKvHeads * group * kHeadDim);
  state.SetBytesProcessed(
      state.iterations() *
      static_cast<std::int64_t>(
          2 * sequences * context * kKvHeads * kHeadDim * tensor::size_of(kv_dtype)
      )
  );
}

// The demo model's shapes, then the 20b's.
BENCHMARK(bf16_product)
    ->ArgNames({"tokens", "rows", "columns"})
    ->ArgsProduct({{1, 8, 16, 32, 256}, {64}, {256, 512}})
    ->ArgsProduct({{1, 8, 32}, {64}, {2880}});
BENCHMARK(mxfp4_product)
    ->ArgNames({"tokens", "rows", "columns"})
    ->ArgsProduct({{1, 4, 8, 16, 32, 256}, {64}, {192, 256}})
    ->ArgsProduct({{1, 8, 32}, {64}, {2880}});
BENCHMARK(decode_attention)
    ->ArgNames({"sequences", "context", "group", "kv_bits"})
    ->ArgsProduct({{1, 256}, {128}, {4, 8}, {16, 32}})
    ->ArgsProduct({{1}, {8192}, {8}, {16, 32}});

}  // namespace
}  // namespace gossamer::kernels::cpu

BENCHMARK_MAIN();
