// Y[t, r] = sum_k X[t, k] W[r, k] + bias[r] for at most 16 tokens.
//
// The rows are taken 8 at a time by the groups of all blocks in turn, a warp's step is a unit of 32
// columns. Each thread copies its own 16 bytes of a unit into its own slots of shared memory,
// kStages units ahead, across rows: nothing but the sums needs a barrier. The lower half of
// operand A is zero. Bound by reading the weights, once.

#include <algorithm>

#include "kernels/cuda/gemm_kernels.cuh"
#include "kernels/cuda/gemm_output.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/ptx/cp_async.cuh"
#include "kernels/cuda/ptx/ldmatrix.cuh"
#include "kernels/cuda/ptx/mma.cuh"
#include "kernels/cuda/stream_group.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kRows = kPackedRows;
constexpr int kStages = kStreamStages;
static_assert(kUnitBytes == 32 * 16 && kStreamThreads == kStreamBlockThreads);

__device__ void load_tokens(const GemmArgs& args, std::uint32_t tokens) {
  const int row_chunks = args.columns / 8;
  const int num_chunks = args.num_tokens * row_chunks;
  const int row_bytes = static_cast<int>(stream_row_bytes(args.columns));
  for (int i = static_cast<int>(threadIdx.x); i < num_chunks; i += kStreamBlockThreads) {
    const int token = i / row_chunks;
    const int chunk = i % row_chunks;
    ptx::copy_async(
        tokens + token * row_bytes + chunk * 16, args.x + token * args.x_stride + chunk * 8
    );
  }
}

/// Adds a unit's products to the sums: `weights` are this lane's 16 bytes, `tokens` the address of
/// its row for ldmatrix.
template <int kTokenTiles>
__device__ __forceinline__ void multiply_unit(
    uint4 weights, std::uint32_t tokens, int row_bytes, float (&sums)[kTokenTiles][4]
) {
#pragma unroll
  for (int i = 0; i < kTokenTiles; ++i) {
    std::uint32_t b[4];
    ptx::load_matrices(b, tokens + i * 8 * row_bytes);
    ptx::mma_bf16(sums[i], weights.x, 0, weights.y, 0, b[0], b[1]);
    ptx::mma_bf16(sums[i], weights.z, 0, weights.w, 0, b[2], b[3]);
  }
}

template <int kTokenTiles>
__global__ void __launch_bounds__(kStreamBlockThreads, 1) gemm_stream_kernel(GemmArgs args) {
  using Sums = StreamSums<kRows, kTokenTiles>;
  extern __shared__ uint4 shared[];  // slots of all threads, sums of the groups, tokens
  const StreamPlace place;
  const int num_units = args.columns / kUnitColumns;
  const auto row_units = static_cast<int>(units_per_row(args.columns));
  const int num_items = (args.rows + kRows - 1) / kRows;
  const int row_bytes = static_cast<int>(stream_row_bytes(args.columns));

  uint4* const slots = shared + threadIdx.x;  // kStreamBlockThreads apart
  auto* const sums_memory = reinterpret_cast<float*>(shared + kStreamBlockThreads * kStages);
  Sums group_sums(sums_memory + place.group * Sums::kBytes / 4, place);
  const std::uint32_t slots_address = ptx::shared_address(slots);
  const std::uint32_t tokens =
      ptx::shared_address(sums_memory) + kStreamGroups * static_cast<std::uint32_t>(Sums::kBytes);
  const std::uint32_t lane_tokens = tokens + place.lane % 8 * row_bytes + place.lane / 8 * 16;

  // Items are numbered by group, then block: neighbouring blocks read neighbouring rows.
  const auto row_group = [](int item) {
    return item / kStreamGroups * static_cast<int>(gridDim.x * kStreamGroups) +
           item % kStreamGroups * static_cast<int>(gridDim.x) + static_cast<int>(blockIdx.x);
  };
  const auto* weight = reinterpret_cast<const uint4*>(args.weight) + place.lane;
  StreamCursor ahead{place.group, place.warp};
  const auto start_copy = [&](int stage) {
    ahead.wrap(num_units);
    const int rows = row_group(ahead.item);
    if (rows < num_items) {
      const std::int64_t unit = std::int64_t{rows} * row_units + ahead.step;
      ptx::copy_async(slots_address + stage * kStreamBlockThreads * 16, weight + unit * 32);
    }
    ptx::commit_copies();
    ahead.step += kStreamWarps;
  };
  for (int stage = 0; stage < kStages - 1; ++stage) start_copy(stage);
  load_tokens(args, tokens);
  ptx::commit_copies();
  ptx::wait_for_copies<0>();
  __syncthreads();

  int stage = 0;
  int step = place.warp;
  for (int item = place.group; row_group(item) < num_items; item += kStreamGroups) {
    float sums[kTokenTiles][4] = {};
    for (; step < num_units; step += kStreamWarps) {
      start_copy(stage == 0 ? kStages - 1 : stage - 1);
      ptx::wait_for_copies<kStages - 1>();
      multiply_unit(
          slots[stage * kStreamBlockThreads], lane_tokens + step * kUnitColumns * 2, row_bytes, sums
      );
      stage = stage == kStages - 1 ? 0 : stage + 1;
    }
    step -= num_units;
#pragma unroll
    for (int i = 0; i < kTokenTiles; ++i) {
      for (int c = 0; c < 2; ++c) {
        group_sums.at(place.warp, i * 8 + place.lane % 4 * 2 + c, place.lane / 4) = sums[i][c];
      }
    }
    group_sums.finish(place, [&](int token, int row, float sum) {
      const int y_row = row_group(item) * kRows + row;
      if (token < args.num_tokens && y_row < args.rows) store_gemm(args, token, y_row, sum);
    });
  }
}

}  // namespace

void launch_gemm_stream(const GemmArgs& args, const GemmPlan& plan, cudaStream_t stream) {
  const auto kernel =
      plan.tile == GemmTile::kStream8 ? gemm_stream_kernel<1> : gemm_stream_kernel<2>;
  const auto shared_bytes =
      static_cast<int>(stream_shared_bytes(tokens_of(plan.tile), args.columns));
  check(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes),
      "cudaFuncSetAttribute"
  );
  const int num_items = (args.rows + kRows - 1) / kRows;
  const int num_blocks = std::min(num_items, gemm_device().num_multiprocessors);
  kernel<<<num_blocks, kStreamBlockThreads, shared_bytes, stream>>>(args);
  check(cudaGetLastError(), "gemm_stream_kernel");
}

}  // namespace gossamer::kernels::cuda
