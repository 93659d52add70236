#pragma once

// The weights of a ProductTile: from their packed layout into a stage of shared memory, and from
// there into operand A. Both keep the order of packed_weights.h, so a lane reads its registers in
// one piece, without bank conflicts.

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/fp4_fragments.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/product_tile.cuh"
#include "kernels/cuda/ptx/cp_async.cuh"

namespace gossamer::kernels::cuda {

/// The 8-row groups of a tile. Groups behind the matrix's last are that last one, and their sums
/// belong to no row.
template <class Tile>
struct TileGroups {
  static constexpr int kGroups = Tile::kRows / kPackedRows;
  int first;
  int last;  // of the matrix

  __device__ TileGroups(int first_row, int num_rows)
      : first(first_row / kPackedRows), last((num_rows - 1) / kPackedRows) {}

  __device__ std::int64_t of_matrix(int group) const { return min(first + group, last); }

  /// The tile's group of rows 0-7 of this warp's m-th 16.
  __device__ static int of_warp(const TileLane<Tile>& place, int m) {
    return place.row_warp * (Tile::kWarpRows / kPackedRows) + 2 * m;
  }
};

template <class Tile>
class Bf16WeightTile {
 public:
  static constexpr int kStageBytes = Tile::kRows * Tile::kColumns * 2;

  __device__ Bf16WeightTile(const std::byte* weight, int first_row, int num_rows, int num_columns)
      : weight_(weight + threadIdx.x * 16 % kGroupBytes),
        groups_(first_row, num_rows),
        row_bytes_(units_per_row(num_columns) * kUnitBytes) {}

  __device__ void copy(int step, std::uint32_t to) const {
    const std::byte* from = weight_ + std::int64_t{step} * kGroupBytes;
#pragma unroll
    for (int i = 0; i < kStageBytes / kCopyBytes; ++i) {
      const int offset = i * kCopyBytes + static_cast<int>(threadIdx.x) * 16;
      ptx::copy_async(to + offset, from + groups_.of_matrix(offset / kGroupBytes) * row_bytes_);
    }
  }

  /// Calls use(half, operand A of the half's two steps of 16 columns) for both 32 columns.
  template <class Use>
  __device__ __forceinline__ void multiply(const std::byte* stage, const Use& use) const {
    const TileLane<Tile> place;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      std::uint32_t a[Tile::kRowTiles][2][4];
#pragma unroll
      for (int m = 0; m < Tile::kRowTiles; ++m) {
        const auto* unit = reinterpret_cast<const uint4*>(
            stage + TileGroups<Tile>::of_warp(place, m) * kGroupBytes + half * kUnitBytes
        );
        const uint4 upper = unit[place.lane];
        const uint4 lower = unit[kGroupBytes / 16 + place.lane];
        set(a[m][0], upper.x, lower.x, upper.y, lower.y);
        set(a[m][1], upper.z, lower.z, upper.w, lower.w);
      }
      use(half, a);
    }
  }

 private:
  static constexpr int kGroupBytes = 2 * kUnitBytes;  // of a group in a stage
  static constexpr int kCopyBytes = Tile::kThreads * 16;
  static_assert(kCopyBytes % kGroupBytes == 0 && kStageBytes % kCopyBytes == 0);
  static_assert(Tile::kColumns == 2 * kUnitColumns);

  __device__ static void set(
      std::uint32_t (&a)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t a2, std::uint32_t a3
  ) {
    a[0] = a0;
    a[1] = a1;
    a[2] = a2;
    a[3] = a3;
  }

  const std::byte* weight_;  // this thread's 16 bytes of a group
  TileGroups<Tile> groups_;
  std::int64_t row_bytes_;  // of a group in the matrix
};

template <class Tile>
class Fp4WeightTile {
 public:
  static constexpr int kCodesBytes = Tile::kRows / kPackedRows * kFp4UnitBytes;
  static constexpr int kStageBytes = kCodesBytes + Tile::kRows / kPackedRows * kFp4ScaleBytes;
  static_assert(kStageBytes % 128 == 0 && Tile::kColumns == kFp4UnitColumns);

  __device__ Fp4WeightTile(const std::byte* weight, int first_row, int num_rows, int num_columns)
      : weight_(weight),
        groups_(first_row, num_rows),
        scales_(static_cast<int>(fp4_units_per_row(num_columns)) * kFp4UnitBytes),
        record_bytes_(fp4_record_bytes(num_columns)) {}

  __device__ void copy(int step, std::uint32_t to) const {
#pragma unroll
    for (int i = 0; i < kCodesBytes; i += Tile::kThreads * 16) {
      const int offset = i + static_cast<int>(threadIdx.x) * 16;
      if (offset >= kCodesBytes) break;
      const std::byte* record = record_of(offset / kFp4UnitBytes);
      ptx::copy_async(to + offset, record + step * kFp4UnitBytes + offset % kFp4UnitBytes);
    }
    if (threadIdx.x < TileGroups<Tile>::kGroups) {
      ptx::copy_async(
          to + kCodesBytes + threadIdx.x * kFp4ScaleBytes,
          record_of(static_cast<int>(threadIdx.x)) + scales_ + step * kFp4ScaleBytes
      );
    }
  }

  /// Calls use(half, operand A of the half's two steps of 16 columns) for both 32 columns.
  template <class Use>
  __device__ __forceinline__ void multiply(const std::byte* stage, const Use& use) const {
    const TileLane<Tile> place;
    Codes codes;
    std::uint32_t all_scales = 0;
#pragma unroll
    for (int i = 0; i < kWarpGroups; ++i) {
      const int group = TileGroups<Tile>::of_warp(place, 0) + i;
      codes.words[i] = reinterpret_cast<const uint2*>(stage + group * kFp4UnitBytes)[place.lane];
      codes.scales[i] = reinterpret_cast<const std::uint16_t*>(
          stage + kCodesBytes + group * kFp4ScaleBytes
      )[place.lane / 4];
      all_scales |= codes.scales[i];
    }
    if (__any_sync(0xFFFFFFFF, has_large_scale(all_scales))) {
      multiply_codes<true>(codes, use);
    } else {
      multiply_codes<false>(codes, use);
    }
  }

 private:
  static constexpr int kWarpGroups = 2 * Tile::kRowTiles;
  struct Codes {
    uint2 words[kWarpGroups];
    std::uint32_t scales[kWarpGroups];
  };

  __device__ const std::byte* record_of(int group) const {
    return weight_ + groups_.of_matrix(group) * record_bytes_;
  }

  template <bool kLargeScales, class Use>
  __device__ __forceinline__ static void multiply_codes(const Codes& codes, const Use& use) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      std::uint32_t a[Tile::kRowTiles][2][4];
#pragma unroll
      for (int i = 0; i < kWarpGroups; ++i) {
        std::uint32_t pairs[4];
        dequantize_fp4<kLargeScales>(
            half == 0 ? codes.words[i].x : codes.words[i].y,
            half == 0 ? codes.scales[i] & 0xFF : codes.scales[i] >> 8,
            pairs
        );
#pragma unroll
        for (int q = 0; q < 4; ++q) a[i / 2][q / 2][q % 2 * 2 + i % 2] = pairs[q];
      }
      use(half, a);
    }
  }

  const std::byte* weight_;
  TileGroups<Tile> groups_;
  int scales_;  // where they begin in a record
  std::int64_t record_bytes_;
};

}  // namespace gossamer::kernels::cuda
