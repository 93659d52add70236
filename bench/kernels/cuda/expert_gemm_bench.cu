// The products over experts of the released models, with weights that are not in L2 and random
// routing:
//     expert_gemm_bench [all]
// Prints the time of grouping, of gate/up with SwiGLU and of down, the used experts' bytes a
// second and their share of what the device can read, and the operations a second and their share
// of what mma makes from registers. `all` also compares the kernels.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "bench/kernels/cuda/measure.cuh"
#include "kernels/cuda/expert_gemm.cuh"
#include "kernels/cuda/expert_kernels.cuh"
#include "kernels/cuda/expert_plan.h"
#include "kernels/cuda/gemm_kernels.cuh"
#include "kernels/cuda/packed_weights.h"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kHidden = 2880;
constexpr int kMaxTokens = 8192;
constexpr int kMaxExperts = 128;
constexpr int kCopies = 2;  // of all experts of a layer of 128, or 8 of 32: taken in turn

struct Ceilings {
  double gbs;
  double tflops;
};

/// Random codes, and scales of 2^-7.
__global__ void fill_fp4_kernel(std::byte* records, std::size_t size_bytes) {
  const std::size_t threads = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < size_bytes;
       i += threads) {
    const std::size_t in_record = i % fp4_record_bytes(kHidden);
    const bool is_code = in_record < fp4_units_per_row(kHidden) * kFp4UnitBytes;
    records[i] = static_cast<std::byte>(is_code ? bench_hash(i) & 0xFFU : 120U);
  }
}

void fill_fp4(std::byte* records, std::size_t size_bytes) {
  fill_fp4_kernel<<<1024, 256>>>(records, size_bytes);
  check(cudaGetLastError(), "fill_fp4_kernel");
}

struct Memory {
  std::size_t gate_up_bytes = static_cast<std::size_t>(packed_fp4_bytes(2 * kHidden, kHidden));
  std::size_t down_bytes = static_cast<std::size_t>(packed_fp4_bytes(kHidden, kHidden));
  std::size_t num_matrices = std::size_t{kCopies} * kMaxExperts;
  std::byte* gate_up = bench_allocate<std::byte>(num_matrices * gate_up_bytes);
  std::byte* down = bench_allocate<std::byte>(num_matrices * down_bytes);
  __nv_bfloat16* bias = bench_allocate<__nv_bfloat16>(kMaxExperts * 2 * kHidden);
  __nv_bfloat16* x = bench_allocate<__nv_bfloat16>(std::size_t{kMaxTokens} * kHidden);
  __nv_bfloat16* hidden = bench_allocate<__nv_bfloat16>(std::size_t{kMaxTokens} * 4 * kHidden);
  float* y = bench_allocate<float>(std::size_t{kMaxTokens} * 4 * kHidden);
  std::int32_t* ids = bench_allocate<std::int32_t>(kMaxTokens * 4);
  std::byte* groups = bench_allocate<std::byte>(expert_groups_bytes(kMaxTokens * 4, kMaxExperts));

  Memory() {
    fill_fp4(gate_up, num_matrices * gate_up_bytes);
    fill_fp4(down, num_matrices * down_bytes);
    bench_fill(x, std::size_t{kMaxTokens} * kHidden);
    bench_fill(hidden, std::size_t{kMaxTokens} * 4 * kHidden);
  }
};

struct Routing {
  std::vector<std::int32_t> ids;
  int used;

  Routing(int num_tokens, int num_experts) {
    std::mt19937_64 random(3);
    for (int t = 0; t < num_tokens; ++t) {
      std::set<std::int32_t> mine;
      while (mine.size() < 4) mine.insert(static_cast<std::int32_t>(random() % num_experts));
      ids.insert(ids.end(), mine.begin(), mine.end());
    }
    used = static_cast<int>(std::set<std::int32_t>(ids.begin(), ids.end()).size());
  }
};

/// A kernel and its tiles; none is what is planned.
struct Kernel {
  std::optional<ExpertKernel> kernel;
  int tile_pairs = 0;

  const char* name() const {
    constexpr const char* kNames[] = {"ring", "stream", "tiled"};
    return kernel ? kNames[static_cast<int>(*kernel)] : "planned";
  }
  void run(const ExpertGemmArgs& args, cudaStream_t stream) const {
    if (!kernel) return launch_expert_gemm(args, stream);
    launch_expert_gemm(*kernel, args, tile_pairs, gemm_device(), stream);
  }
};

void print(const char* name, double us, double bytes, double flops, const Ceilings& ceilings) {
  std::printf(
      "  %s %8.2f us %5.0f GB/s %3.0f %% %6.1f TF %3.0f %%",
      name,
      us,
      bytes / us / 1e3,
      100 * bytes / us / 1e3 / ceilings.gbs,
      flops / us / 1e6,
      100 * flops / us / 1e6 / ceilings.tflops
  );
}

void measure(
    const Memory& memory,
    const Ceilings& ceilings,
    int num_tokens,
    int num_experts,
    const Kernel& kernel
) {
  const Routing routing(num_tokens, num_experts);
  const auto num_pairs = static_cast<int>(routing.ids.size());
  check(
      cudaMemcpy(memory.ids, routing.ids.data(), routing.ids.size() * 4, cudaMemcpyHostToDevice),
      "cudaMemcpy"
  );
  const ExpertGroups groups = expert_groups_at(memory.groups, num_pairs, num_experts);
  const double group_us = time_us(10, [&](int, cudaStream_t stream) {
    const GroupByExpertArgs args{memory.ids, groups, num_pairs, num_experts};
    if (!kernel.kernel) {
      launch_group_by_expert(args, stream);
    } else {
      launch_group_by_expert(args, kernel.tile_pairs, stream);
    }
  });
  ExpertGemmArgs gate_up{
      .x = memory.x,
      .weight = memory.gate_up,
      .bias = memory.bias,
      .groups = groups,
      .y = memory.hidden,
      .num_pairs = num_pairs,
      .pairs_per_row = 4,
      .num_experts = num_experts,
      .rows = 2 * kHidden,
      .columns = kHidden,
      .output = ExpertGemmOutput::kSwiglu,
      .swiglu_limit = 7,
  };
  ExpertGemmArgs down = gate_up;
  down.x = memory.hidden;
  down.weight = memory.down;
  down.y = memory.y;
  down.pairs_per_row = 1;
  down.rows = kHidden;
  down.output = ExpertGemmOutput::kF32;
  const int layers = kCopies * kMaxExperts / num_experts;
  const auto first_expert = [&](int call) {
    return static_cast<std::size_t>(call % layers) * static_cast<std::size_t>(num_experts);
  };
  const double gate_up_us = time_us(2 * layers, [&](int call, cudaStream_t stream) {
    gate_up.weight = memory.gate_up + first_expert(call) * memory.gate_up_bytes;
    kernel.run(gate_up, stream);
  });
  const double down_us = time_us(2 * layers, [&](int call, cudaStream_t stream) {
    down.weight = memory.down + first_expert(call) * memory.down_bytes;
    kernel.run(down, stream);
  });
  const double used = routing.used;
  const double flops = 2.0 * num_pairs * kHidden * kHidden;
  std::printf(
      "%3d experts %5d tokens %7s %3d group %5.2f us",
      num_experts,
      num_tokens,
      kernel.name(),
      !kernel.kernel ? expert_tile_pairs(num_pairs, num_experts) : kernel.tile_pairs,
      group_us
  );
  print(
      "gate/up", gate_up_us, used * static_cast<double>(memory.gate_up_bytes), 2 * flops, ceilings
  );
  print("down", down_us, used * static_cast<double>(memory.down_bytes), flops, ceilings);
  std::printf("\n");
}

void run(bool all) {
  const Memory memory;
  const Ceilings ceilings{
      read_ceiling_gbs(memory.gate_up, memory.num_matrices * memory.gate_up_bytes),
      multiply_ceiling_tflops(gemm_device().num_multiprocessors)};
  std::printf("ceilings: %.0f GB/s, %.0f TFLOP/s\n", ceilings.gbs, ceilings.tflops);
  for (const int num_experts : {32, 128}) {
    for (const int num_tokens : {1, 2, 4, 8, 16, 32, 64, 128, 512, 2048, 8192}) {
      measure(memory, ceilings, num_tokens, num_experts, {});
    }
    if (!all) continue;
    for (const int num_tokens : {8, 32, 64, 128, 256, 512, 2048, 8192}) {
      for (const ExpertKernel kernel : {ExpertKernel::kRing, ExpertKernel::kStream}) {
        if (!can_run(kernel, kExpertStreamPairs, kHidden, gemm_device())) continue;
        measure(memory, ceilings, num_tokens, num_experts, {kernel, kExpertStreamPairs});
      }
      for (const int pairs : {32, 64, 128, 256}) {
        const int mean = num_tokens * 4 / num_experts;
        if (pairs < mean / 2 || pairs > 16 * mean) continue;
        measure(memory, ceilings, num_tokens, num_experts, {ExpertKernel::kTiled, pairs});
      }
    }
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda

int main(int argc, char** argv) {
  gossamer::kernels::cuda::run(argc > 1 && std::strcmp(argv[1], "all") == 0);
}
