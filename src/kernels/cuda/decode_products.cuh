#pragma once

// The products of the persistent decode step: a weight row with one activation vector, on tensor
// cores.
//
// mma.m16n8k16 multiplies 16 weight rows with 8 columns. One token needs one column, so the columns
// carry precision instead: column 0 is the vector rounded to bf16, column 1 what that left out
// (together 16 bits), and columns 2 and 3 the same of a second vector, which the lower 8 rows are
// multiplied with: another 32 columns of the same rows, or another expert. Columns 4 to 7 repeat
// them and are not read.

#include <cuda_bf16.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/decode_ring.cuh"
#include "kernels/cuda/fp4_fragments.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/ptx/mma.cuh"

namespace gossamer::kernels::cuda {

inline constexpr int kUnitFragmentBytes = 64;

/// Bytes of one part (rounded, or left out) of a vector in shared memory: for each k32 unit of the
/// weights 64 bytes, lane t's 16 at 16 t, in the order of operand B. The last 64 bytes move the
/// second part to other banks than the first.
__host__ __device__ constexpr int fragment_part_bytes(int columns) {
  return static_cast<int>(units_per_row(columns)) * kUnitFragmentBytes + 64;
}
__host__ __device__ constexpr int fragment_bytes(int columns) {
  return 2 * fragment_part_bytes(columns);
}

/// Where elements `column` (even) and column + 1 lie in a part.
__device__ inline int fragment_offset(int column) {
  return column / kUnitColumns * kUnitFragmentBytes + column % 8 / 2 * 16 + column % 32 / 16 * 8 +
         column % 16 / 8 * 4;
}
/// From one pair of a thread to its next, where kThreads threads take the pairs in turn: it lies at
/// the same place of another unit.
template <int kThreads>
__host__ __device__ constexpr int fragment_stride() {
  static_assert(2 * kThreads % kUnitColumns == 0);
  return 2 * kThreads / kUnitColumns * kUnitFragmentBytes;
}

/// Writes two elements of a vector at their offset, both parts.
__device__ inline void store_fragment(
    std::byte* fragments, int part_bytes, int offset, float first, float second
) {
  const __nv_bfloat162 rounded = __floats2bfloat162_rn(first, second);
  const __nv_bfloat162 rest =
      __floats2bfloat162_rn(first - __low2float(rounded), second - __high2float(rounded));
  *reinterpret_cast<__nv_bfloat162*>(fragments + offset) = rounded;
  *reinterpret_cast<__nv_bfloat162*>(fragments + part_bytes + offset) = rest;
}

/// Which lane and warp this is, inside its group.
struct Lane {
  int group;
  int warp;  // of the group
  int lane;
  int g;
  int t;

  __device__ Lane()
      : group(threadIdx.x / (32 * kWarpsPerGroup)),
        warp(threadIdx.x / 32 % kWarpsPerGroup),
        lane(threadIdx.x % 32),
        g(lane / 4),
        t(lane % 4) {}
};

/// This lane's operand B addresses: column g % 4 of the vector(s). second_bytes is the way to the
/// second vector.
__device__ inline const std::byte* lane_fragments(
    const std::byte* fragments, int part_bytes, int second_bytes, const Lane& lane
) {
  return fragments + (lane.g & 1) * part_bytes + (lane.g >> 1 & 1) * second_bytes + lane.t * 16;
}

/// The sum of a warp's products for row g of the tile: rows 0-7 with columns 0, 1 (lanes t = 0) and
/// rows 8-15 with columns 2, 3 (lanes t = 1), added up. Valid in lanes t = 0 and 1.
__device__ inline float join_halves(float upper, float lower, const Lane& lane) {
  const float mine = lane.t == 0 ? upper : lower;
  return mine + __shfl_xor_sync(0xFFFFFFFFU, mine, 1);
}

/// One warp's share of 8 rows of a dense matrix, over all chunks of the tile: its turn of the k64
/// steps. `fragments` are lane_fragments with the next unit as second vector. Row g's sum in lanes
/// t = 0.
__device__ inline float multiply_dense(
    const Ring& ring, int chunk, const DenseCut& cut, const std::byte* fragments, const Lane& lane
) {
  float even[4] = {};
  float odd[4] = {};
  for (int begin = 0; begin < cut.steps; begin += cut.steps_per_chunk) {
    const std::byte* stage = ring.wait(chunk, lane.lane);
    const int steps = min(cut.steps_per_chunk, cut.steps - begin);
#pragma unroll 2
    for (int step = lane.warp; step < steps; step += kWarpsPerGroup) {
      const auto* units = reinterpret_cast<const uint4*>(stage + step * kStepBytes);
      const uint4 upper = units[lane.lane];
      const uint4 lower = units[32 + lane.lane];
      const uint4 b = *reinterpret_cast<const uint4*>(fragments + (begin + step) * 128);
      ptx::mma_bf16(even, upper.x, lower.x, upper.y, lower.y, b.x, b.y);
      ptx::mma_bf16(odd, upper.z, lower.z, upper.w, lower.w, b.z, b.w);
    }
    ring.release(chunk++);
  }
  return join_halves(
      even[0] + even[1] + odd[0] + odd[1], even[2] + even[3] + odd[2] + odd[3], lane
  );
}

/// Sums of a warp for row g of two records: valid in lanes t = 0 (upper) and t = 1 (lower).
struct ExpertSums {
  float upper = 0;
  float lower = 0;
};

/// One k64 step of a warp: codes and scales of the tile's upper and lower 8 rows, this lane's.
struct Fp4Step {
  uint2 upper;
  uint2 lower;
  std::uint32_t upper_scales[2];  // e8m0
  std::uint32_t lower_scales[2];
};

/// Where a lane finds its part of a step; the second record lies record_bytes behind the first.
struct Fp4Cursor {
  const std::byte* codes;
  const std::byte* scales;
  int record_bytes;

  __device__ Fp4Step load() const {
    const auto* upper_scales = reinterpret_cast<const std::uint8_t*>(scales);
    const std::uint8_t* lower_scales = upper_scales + record_bytes;
    return {
        *reinterpret_cast<const uint2*>(codes),
        *reinterpret_cast<const uint2*>(codes + record_bytes),
        {upper_scales[0], upper_scales[1]},
        {lower_scales[0], lower_scales[1]},
    };
  }
  __device__ void advance(int units) {
    codes += units * kFp4UnitBytes;
    scales += units * kFp4ScaleBytes;
  }
};

__device__ inline void add_scaled(float& sum, float first, float second, std::uint32_t scale) {
  sum = fmaf(first + second, __uint_as_float(scale << 23), sum);
}

/// Two k32 blocks: for each two mma on fresh accumulators, then the scales of their rows. The
/// blocks take turns, since the second mma of one must wait for its first.
__device__ inline void multiply_step(
    const Fp4Step& step, const std::byte* fragments, ExpertSums& sums
) {
  std::uint32_t upper[2][4];
  std::uint32_t lower[2][4];
  unpack_fp4(step.upper.x, upper[0]);
  unpack_fp4(step.lower.x, lower[0]);
  float first[4] = {};
  float second[4] = {};
  const uint4 b = reinterpret_cast<const uint4*>(fragments)[0];
  const uint4 d = reinterpret_cast<const uint4*>(fragments)[4];
  ptx::mma_bf16(first, upper[0][0], lower[0][0], upper[0][1], lower[0][1], b.x, b.y);
  unpack_fp4(step.upper.y, upper[1]);
  unpack_fp4(step.lower.y, lower[1]);
  ptx::mma_bf16(second, upper[1][0], lower[1][0], upper[1][1], lower[1][1], d.x, d.y);
  ptx::mma_bf16(first, upper[0][2], lower[0][2], upper[0][3], lower[0][3], b.z, b.w);
  ptx::mma_bf16(second, upper[1][2], lower[1][2], upper[1][3], lower[1][3], d.z, d.w);
  add_scaled(sums.upper, first[0], first[1], step.upper_scales[0]);
  add_scaled(sums.lower, first[2], first[3], step.lower_scales[0]);
  add_scaled(sums.upper, second[0], second[1], step.upper_scales[1]);
  add_scaled(sums.lower, second[2], second[3], step.lower_scales[1]);
}

/// One warp's share of two records of 8 rows: its turn of the steps, the next one's weights loaded
/// while one is multiplied. `fragments` are lane_fragments of the vector of the first record, and
/// of the second's.
__device__ inline ExpertSums multiply_record_pair(
    const std::byte* records, int columns, const std::byte* fragments, const Lane& lane
) {
  const int units = static_cast<int>(fp4_units_per_row(columns));
  ExpertSums sums;
  int unit = lane.warp;
  if (unit >= units) return sums;
  Fp4Cursor cursor{
      records + unit * kFp4UnitBytes + lane.lane * 8,
      records + units * kFp4UnitBytes + unit * kFp4ScaleBytes + lane.g * 2,
      static_cast<int>(fp4_record_bytes(columns)),
  };
  fragments += unit * 128;
  Fp4Step step = cursor.load();
#pragma unroll 1
  for (unit += kWarpsPerGroup; unit < units; unit += kWarpsPerGroup) {
    cursor.advance(kWarpsPerGroup);
    const Fp4Step next = cursor.load();
    multiply_step(step, fragments, sums);
    fragments += kWarpsPerGroup * 128;
    step = next;
  }
  multiply_step(step, fragments, sums);
  return sums;
}

}  // namespace gossamer::kernels::cuda
