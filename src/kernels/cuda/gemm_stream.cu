// Y[t, r] = sum_k X[t, k] W[r, k] + bias[r] for at most 16 tokens.
//
// A block keeps the tokens in shared memory and takes every gridDim.x-th 8 rows. Its warps share
// the columns of these rows, a unit of 32 at a time, and add up what they have at the end. Each
// thread copies its own 16 bytes of a unit into its own slots of shared memory, several units
// ahead, across rows: nothing but the sum needs a barrier. Bound by reading the weights, once.

#include <algorithm>

#include "kernels/cuda/gemm_kernels.cuh"
#include "kernels/cuda/gemm_output.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/ptx/cp_async.cuh"
#include "kernels/cuda/ptx/ldmatrix.cuh"
#include "kernels/cuda/ptx/mma.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = kStreamThreads;
constexpr int kWarps = kThreads / 32;
constexpr int kStages = kStreamStages;
constexpr int kRows = kPackedRows;
static_assert(kUnitBytes == 32 * 16);
static_assert(kRows * 16 <= kThreads, "a thread adds up one output");

/// Which unit comes next: the block's warps take the units of 8 rows in turn.
struct Cursor {
  int row_group;  // 8 rows of W
  int unit;

  __device__ Cursor(int warp) : row_group(static_cast<int>(blockIdx.x)), unit(warp) {}

  /// Returns whether the rows' units are all taken.
  __device__ bool advance(int num_units, int warp) {
    unit += kWarps;
    if (unit < num_units) return false;
    unit = warp;
    row_group += static_cast<int>(gridDim.x);
    return true;
  }
};

template <int kTokenTiles>
__device__ void load_tokens(const GemmArgs& args, std::uint32_t tokens) {
  const int row_chunks = args.columns / 8;
  const int num_chunks = min(args.num_tokens, kTokenTiles * 8) * row_chunks;
  const int row_bytes = static_cast<int>(stream_row_bytes(args.columns));
  for (int i = static_cast<int>(threadIdx.x); i < num_chunks; i += kThreads) {
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

/// Adds up the warps' sums of 8 rows in a fixed order, and stores them. `partial` is
/// [kWarps][kRows][kTokenTiles * 8]; it may be written again after the next call's barrier.
template <int kTokenTiles>
__device__ void finish_rows(
    const GemmArgs& args, int first_row, float (&sums)[kTokenTiles][4], float* partial
) {
  constexpr int kTokens = kTokenTiles * 8;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float* mine = partial + (warp * kRows + lane / 4) * kTokens + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < kTokenTiles; ++i) {
    *reinterpret_cast<float2*>(mine + i * 8) = make_float2(sums[i][0], sums[i][1]);
    for (float& sum : sums[i]) sum = 0;
  }
  __syncthreads();
  if (threadIdx.x >= kRows * kTokens) return;
  const int token = static_cast<int>(threadIdx.x) / kRows;
  const int row = static_cast<int>(threadIdx.x) % kRows;
  if (token >= args.num_tokens || first_row + row >= args.rows) return;
  float sum = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) sum += partial[(w * kRows + row) * kTokens + token];
  store_gemm(args, token, first_row + row, sum);
}

template <int kTokenTiles>
__global__ void __launch_bounds__(kThreads, 1) gemm_stream_kernel(GemmArgs args) {
  extern __shared__ uint4 shared[];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int num_units = args.columns / kUnitColumns;
  const auto row_units = static_cast<int>(units_per_row(args.columns));
  const int num_groups = (args.rows + kRows - 1) / kRows;
  const int row_bytes = static_cast<int>(stream_row_bytes(args.columns));

  constexpr int kPartialFloats = kWarps * kRows * kTokenTiles * 8;
  uint4* const slots = shared + threadIdx.x;  // kThreads apart
  auto* const partial = reinterpret_cast<float*>(shared + kThreads * kStages);
  const std::uint32_t slots_address = ptx::shared_address(slots);
  const std::uint32_t tokens = ptx::shared_address(partial + 2 * kPartialFloats);
  const std::uint32_t lane_tokens = tokens + lane % 8 * row_bytes + lane / 8 * 16;

  const auto* weight = reinterpret_cast<const uint4*>(args.weight) + lane;
  Cursor ahead(warp);
  const auto start_copy = [&](int stage) {
    if (ahead.row_group < num_groups && ahead.unit < num_units) {
      const std::int64_t unit = std::int64_t{ahead.row_group} * row_units + ahead.unit;
      ptx::copy_async(slots_address + stage * kThreads * 16, weight + unit * 32);
    }
    ptx::commit_copies();
    ahead.advance(num_units, warp);
  };
  for (int stage = 0; stage < kStages - 1; ++stage) start_copy(stage);
  load_tokens<kTokenTiles>(args, tokens);
  ptx::commit_copies();
  ptx::wait_for_copies<0>();
  __syncthreads();

  float sums[kTokenTiles][4] = {};
  int stage = 0;
  int parity = 0;
  for (Cursor now(warp); now.row_group < num_groups;) {
    start_copy(stage == 0 ? kStages - 1 : stage - 1);
    ptx::wait_for_copies<kStages - 1>();
    if (now.unit < num_units) {
      multiply_unit(
          slots[stage * kThreads], lane_tokens + now.unit * kUnitColumns * 2, row_bytes, sums
      );
    }
    stage = stage == kStages - 1 ? 0 : stage + 1;
    const int first_row = now.row_group * kRows;
    if (now.advance(num_units, warp)) {
      finish_rows(args, first_row, sums, partial + parity * kPartialFloats);
      parity ^= 1;
    }
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
  const int num_groups = (args.rows + kRows - 1) / kRows;
  const int num_blocks = std::min(num_groups, gemm_device().num_multiprocessors);
  kernel<<<num_blocks, kThreads, shared_bytes, stream>>>(args);
  check(cudaGetLastError(), "gemm_stream_kernel");
}

}  // namespace gossamer::kernels::cuda
