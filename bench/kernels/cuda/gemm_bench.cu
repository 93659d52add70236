// The dense products of the released models, with weights that are not in L2:
//     gemm_bench [all]
// Prints the time, the weights' bytes a second and their share of what the device can read, and
// the operations a second and their share of what mma makes from registers. `all` also compares
// the ways to cut a product.

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "bench/kernels/cuda/measure.cuh"
#include "kernels/cuda/gemm.cuh"
#include "kernels/cuda/gemm_kernels.cuh"
#include "kernels/cuda/packed_weights.h"

namespace gossamer::kernels::cuda {
namespace {

constexpr std::size_t kWeightBytes = std::size_t{3} << 30;  // copies are taken in turn
constexpr int kMaxTokens = 8192;
constexpr int kMaxRows = 201088;
constexpr int kMaxColumns = 4096;

struct Product {
  const char* name;
  int rows;
  int columns;
};

struct Ceilings {
  double gbs;
  double tflops;
};

struct Memory {
  std::byte* weights = bench_allocate<std::byte>(kWeightBytes);
  __nv_bfloat16* x = bench_allocate<__nv_bfloat16>(std::size_t{kMaxTokens} * kMaxColumns);
  __nv_bfloat16* bias = bench_allocate<__nv_bfloat16>(kMaxRows);
  std::byte* y = bench_allocate<std::byte>(std::size_t{128} * kMaxRows * 4);  // or 8192 * 5120 * 2
  std::byte* scratch = bench_allocate<std::byte>(gemm_scratch_bytes());

  Memory() {
    bench_fill(reinterpret_cast<__nv_bfloat16*>(weights), kWeightBytes / 2);
    bench_fill(x, std::size_t{kMaxTokens} * kMaxColumns);
  }
};

void measure(
    const Memory& memory,
    const Ceilings& ceilings,
    const Product& product,
    int num_tokens,
    const GemmPlan* forced
) {
  const auto bytes = static_cast<std::size_t>(packed_bf16_bytes(product.rows, product.columns));
  const auto copies = static_cast<int>(kWeightBytes / bytes);
  GemmArgs args{
      .x = memory.x,
      .weight = memory.weights,
      .bias = memory.bias,
      .y = memory.y,
      .scratch = memory.scratch,
      .x_stride = product.columns,
      .y_stride = product.rows,
      .num_tokens = num_tokens,
      .rows = product.rows,
      .columns = product.columns,
      .output = product.rows == kMaxRows ? GemmOutput::kF32 : GemmOutput::kBf16,
  };
  const GemmPlan plan = forced != nullptr
                            ? *forced
                            : plan_gemm({num_tokens, product.rows, product.columns}, gemm_device());
  const double us = time_us(copies, [&](int call, cudaStream_t stream) {
    args.weight = memory.weights + static_cast<std::size_t>(call) * bytes;
    if (tokens_of(plan.tile) <= tokens_of(GemmTile::kStream16)) {
      launch_gemm_stream(args, plan, stream);
    } else {
      launch_gemm_tiled(args, plan, stream);
    }
  });
  const double gbs = static_cast<double>(bytes) / us / 1e3;
  const double tflops = 2.0 * num_tokens * product.rows * product.columns / us / 1e6;
  std::printf(
      "%-9s %5d tokens  tile %3d x %d  %9.2f us  %6.0f GB/s %3.0f %%  %6.1f TFLOP/s %3.0f %%\n",
      product.name,
      num_tokens,
      tokens_of(plan.tile),
      plan.splits,
      us,
      gbs,
      100 * gbs / ceilings.gbs,
      tflops,
      100 * tflops / ceilings.tflops
  );
}

void run(bool all) {
  const Memory memory;
  const Ceilings ceilings{
      read_ceiling_gbs(memory.weights, kWeightBytes),
      multiply_ceiling_tflops(gemm_device().num_multiprocessors)};
  std::printf("ceilings: %.0f GB/s, %.0f TFLOP/s\n", ceilings.gbs, ceilings.tflops);
  const Product qkv{"qkv", 5120, 2880};
  const Product output{"output", 2880, 4096};
  const Product unembedding{"unembed", kMaxRows, 2880};
  for (const Product& product : {qkv, output}) {
    for (const int n : {1, 2, 4, 8, 16, 32, 64, 128, 512, 2048, 8192}) {
      measure(memory, ceilings, product, n, nullptr);
    }
  }
  for (const int n : {1, 8, 16, 32, 64}) measure(memory, ceilings, unembedding, n, nullptr);
  if (!all) return;
  std::printf("other cuts\n");
  for (const Product& product : {qkv, output}) {
    for (const GemmTile tile : {GemmTile::kTile32, GemmTile::kTile64}) {
      for (const int splits : {1, 2, 3, 4, 6}) {
        const GemmPlan plan{tile, splits};
        measure(memory, ceilings, product, tokens_of(tile), &plan);
      }
    }
    for (const GemmTile tile : {GemmTile::kTile64, GemmTile::kTile128, GemmTile::kTile256}) {
      const GemmPlan plan{tile, 1};
      for (const int n : {128, 256, 512, 1024, 2048, 8192}) {
        measure(memory, ceilings, product, n, &plan);
      }
    }
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda

int main(int argc, char** argv) {
  gossamer::kernels::cuda::run(argc > 1 && std::strcmp(argv[1], "all") == 0);
}
