// Products over experts for tiles of at most 8 pairs.
//
// The work is a list of (tile, 16 rows), by tile. A block has a stretch of the list, which its
// groups take in turn, and keeps its tile's tokens in shared memory. A warp's step is a unit of 64
// columns of 16 rows, which it copies to shared memory kStages steps ahead, across rows and tiles.
// Bound by reading the weights, once a tile, and nearly by unpacking them.

#include "kernels/cuda/expert_items.cuh"
#include "kernels/cuda/expert_kernels.cuh"
#include "kernels/cuda/expert_output.cuh"
#include "kernels/cuda/expert_plan.h"
#include "kernels/cuda/fp4_fragments.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/ptx/cp_async.cuh"
#include "kernels/cuda/ptx/ldmatrix.cuh"
#include "kernels/cuda/ptx/mma.cuh"
#include "kernels/cuda/stream_group.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kRows = kExpertItemRows;
constexpr int kStages = kExpertStreamStages;
constexpr int kStepBytes = 2 * (kFp4UnitBytes + kFp4ScaleBytes);  // codes of both records, scales
static_assert(kStepBytes == kExpertStreamStepBytes);

/// A warp's weights on their way to shared memory. A lane copies 16 bytes of codes of the upper or
/// of the lower record, and four lanes' worth of scales follow.
class WeightStream {
 public:
  __device__ WeightStream(
      const ExpertGemmArgs& args,
      const ExpertExtents& extents,
      StreamCursor start,
      int end,
      int lane
  )
      : args_(args),
        extents_(extents),
        cursor_(start),
        end_(end),
        lane_(lane),
        record_(lane / 16 * extents.record_bytes + lane % 16 * 16),
        scales_(lane % 2 * extents.record_bytes + extents.units * kFp4UnitBytes) {
    find();
  }

  /// Starts to copy the warp's next step; a group of copies in any case.
  __device__ __forceinline__ void copy(std::uint32_t to) {
    if (cursor_.wrap(extents_.units)) find();
    if (cursor_.item < end_) {
      ptx::copy_async(to + lane_ * 16, weight_ + record_ + cursor_.step * kFp4UnitBytes);
      if (lane_ < 2) {
        ptx::copy_async(
            to + 2 * kFp4UnitBytes + lane_ * kFp4ScaleBytes,
            weight_ + scales_ + cursor_.step * kFp4ScaleBytes
        );
      }
    }
    ptx::commit_copies();
    cursor_.step += kStreamWarps;
  }

 private:
  __device__ void find() {
    if (cursor_.item >= end_) return;
    const int tile = cursor_.item / extents_.row_items;
    const int pair_of_records = cursor_.item - tile * extents_.row_items;
    weight_ = args_.weight + args_.groups.tiles[tile].expert * extents_.expert_bytes +
              std::int64_t{pair_of_records} * 2 * extents_.record_bytes;
  }

  const ExpertGemmArgs& args_;
  const ExpertExtents& extents_;
  StreamCursor cursor_;
  int end_;
  int lane_;
  int record_;  // this lane's codes, from weight_
  int scales_;
  const std::byte* weight_ = nullptr;  // the item's upper record; the lower one follows
};

/// The tokens of a tile in shared memory.
struct TokenTile {
  std::uint32_t rows;  // address of rows of row_bytes
  int row_bytes;
  std::int32_t* pairs;  // in shared memory
  int count = 0;

  /// Brings the tokens of a tile. All warps call it, when none needs the last ones any more.
  __device__ void load(const ExpertGemmArgs& args, const ExpertTile& tile) {
    count = tile.count;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int row_chunks = (row_bytes - 16) / 16;
    const int valid_chunks = args.columns / 8;
    for (int token = static_cast<int>(threadIdx.x) / 32; token < count;
         token += kStreamBlockThreads / 32) {
      const std::int32_t pair = args.groups.pairs[tile.begin + token];
      const __nv_bfloat16* from = args.x + std::int64_t{pair / args.pairs_per_row} * args.columns;
      for (int chunk = lane; chunk < row_chunks; chunk += 32) {
        const bool valid = chunk < valid_chunks;
        ptx::copy_async(
            rows + token * row_bytes + chunk * 16, from + (valid ? chunk * 8 : 0), valid ? 16 : 0
        );
      }
      if (lane == 0) pairs[token] = pair;
    }
    ptx::commit_copies();
    ptx::wait_for_copies<0>();
    __syncthreads();
  }
};

/// The halves of a step have sums of their own, so that fewer mma wait for each other.
using StepSums = float[2][4];

/// Adds the products of a step. `tokens` is this lane's row for ldmatrix, at the step's columns.
template <bool kLargeScales>
__device__ __forceinline__ void multiply_step(
    uint2 upper,
    uint2 lower,
    std::uint32_t upper_scales,
    std::uint32_t lower_scales,
    std::uint32_t tokens,
    StepSums& sums
) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    std::uint32_t a[4];
    std::uint32_t c[4];
    dequantize_fp4<kLargeScales>(
        half == 0 ? upper.x : upper.y, half == 0 ? upper_scales & 0xFF : upper_scales >> 8, a
    );
    dequantize_fp4<kLargeScales>(
        half == 0 ? lower.x : lower.y, half == 0 ? lower_scales & 0xFF : lower_scales >> 8, c
    );
    std::uint32_t b[4];
    ptx::load_matrices(b, tokens + half * 64);
    ptx::mma_bf16(sums[half], a[0], c[0], a[1], c[1], b[0], b[1]);
    ptx::mma_bf16(sums[half], a[2], c[2], a[3], c[3], b[2], b[3]);
  }
}

/// Reads a step's weights and adds its products.
__device__ __forceinline__ void take_step(
    const std::byte* weights, std::uint32_t tokens, int lane, StepSums& sums
) {
  const auto* codes = reinterpret_cast<const uint2*>(weights);
  const auto* scales = reinterpret_cast<const std::uint16_t*>(weights + 2 * kFp4UnitBytes);
  const uint2 upper = codes[lane];
  const uint2 lower = codes[kFp4UnitBytes / 8 + lane];
  const std::uint32_t upper_scales = scales[lane / 4];
  const std::uint32_t lower_scales = scales[kFp4ScaleBytes / 2 + lane / 4];
  if (__any_sync(0xFFFFFFFF, has_large_scale(upper_scales | lower_scales))) {
    multiply_step<true>(upper, lower, upper_scales, lower_scales, tokens, sums);
  } else {
    multiply_step<false>(upper, lower, upper_scales, lower_scales, tokens, sums);
  }
}

/// Stores the sum of a row for a pair; whole warps call it, `valid` or not.
template <ExpertGemmOutput kOutput>
__device__ __forceinline__ void store_row(
    const ExpertGemmArgs& args, int expert, std::int32_t pair, int row, float sum, bool valid
) {
  const float value = sum + __bfloat162float(args.bias[std::int64_t{expert} * args.rows + row]);
  if constexpr (kOutput == ExpertGemmOutput::kSwiglu) {
    const float linear = __shfl_down_sync(0xFFFFFFFF, value, 1);
    if (!valid || row % 2 != 0) return;
    static_cast<__nv_bfloat16*>(args.y)[std::int64_t{pair} * (args.rows / 2) + row / 2] =
        __float2bfloat16_rn(clamped_swiglu(value, linear, args.swiglu_limit));
  } else if (valid) {
    static_cast<float*>(args.y)[std::int64_t{pair} * args.rows + row] = value;
  }
}

template <ExpertGemmOutput kOutput>
__global__ void __launch_bounds__(kStreamBlockThreads, 1)
    expert_gemm_stream_kernel(ExpertGemmArgs args) {
  using Sums = StreamSums<kRows, kExpertStreamPairs / 8>;
  extern __shared__ uint4 shared[];  // stages of the warps, sums of the groups, tokens
  __shared__ std::int32_t pairs[kExpertStreamPairs];
  const StreamPlace place;
  const ExpertExtents extents(args);
  const ExpertStretch stretch(args, extents);
  const int begin = stretch.begin;
  const int end = stretch.end;

  auto* const memory = reinterpret_cast<std::byte*>(shared);
  std::byte* const stages = memory + threadIdx.x / 32 * (kStages * kStepBytes);
  const std::uint32_t stages_address = ptx::shared_address(stages);
  auto* const sums_memory =
      reinterpret_cast<float*>(memory + kStreamBlockThreads / 32 * kStages * kStepBytes);
  Sums group_sums(sums_memory + place.group * Sums::kBytes / 4, place);
  TokenTile tokens{
      ptx::shared_address(sums_memory) + kStreamGroups * static_cast<std::uint32_t>(Sums::kBytes),
      static_cast<int>(expert_stream_row_bytes(args.columns)),
      pairs};
  const std::uint32_t lane_tokens =
      tokens.rows + place.lane % 8 * tokens.row_bytes + place.lane / 8 * 16;

  WeightStream weights(args, extents, {begin + place.group, place.warp}, end, place.lane);
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) weights.copy(stages_address + i * kStepBytes);
  int stage = 0;
  int step = place.warp;
  int item = begin + place.group;
  for (int tile = begin / extents.row_items; tile * extents.row_items < end; ++tile) {
    const int expert = args.groups.tiles[tile].expert;
    const int tile_end = min(end, (tile + 1) * extents.row_items);
    // A round of the groups may begin in one tile and end in the next. Who is not in it passes its
    // group's barrier without: tools that look for races want all to pass equally many.
    const int begun = (max(begin, tile * extents.row_items) - begin) % kStreamGroups;
    if (begun != 0 && place.group >= begun) group_sums.pass();
    __syncthreads();
    if (begun != 0 && place.group < begun) group_sums.pass();
    tokens.load(args, args.groups.tiles[tile]);
    for (; item < tile_end; item += kStreamGroups) {
      StepSums sums = {};
      for (; step < extents.units; step += kStreamWarps) {
        weights.copy(stages_address + (stage == 0 ? kStages - 1 : stage - 1) * kStepBytes);
        ptx::wait_for_copies<kStages - 1>();
        __syncwarp();
        take_step(
            stages + stage * kStepBytes, lane_tokens + step * kFp4UnitColumns * 2, place.lane, sums
        );
        stage = stage == kStages - 1 ? 0 : stage + 1;
      }
      step -= extents.units;
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        group_sums.at(place.warp, place.lane % 4 * 2 + c % 2, place.lane / 4 + c / 2 * 8) =
            sums[0][c] + sums[1][c];
      }
      const int first_row = (item - tile * extents.row_items) * kRows;
      group_sums.finish(place, [&](int token, int row, float sum) {
        const bool valid = token < tokens.count;
        const std::int32_t pair = valid ? tokens.pairs[token] : 0;
        store_row<kOutput>(args, expert, pair, first_row + row, sum, valid);
      });
    }
  }
}

}  // namespace

void launch_expert_gemm_stream(
    const ExpertGemmArgs& args, const GemmDevice& device, cudaStream_t stream
) {
  const auto kernel = args.output == ExpertGemmOutput::kSwiglu
                          ? expert_gemm_stream_kernel<ExpertGemmOutput::kSwiglu>
                          : expert_gemm_stream_kernel<ExpertGemmOutput::kF32>;
  const std::int64_t shared_bytes = expert_stream_shared_bytes(args.columns);
  launch_over_items(
      kernel, "expert_gemm_stream_kernel", args, kStreamBlockThreads, shared_bytes, device, stream
  );
}

}  // namespace gossamer::kernels::cuda
