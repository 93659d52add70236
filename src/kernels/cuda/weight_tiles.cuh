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

/// Operand A of 32 columns of a warp's rows, two steps of 16 columns, from groups of bf16 units
/// that lie one after the other.
template <class Tile>
__device__ __forceinline__ void load_bf16_fragments(
    const std::byte* groups, int half, std::uint32_t (&a)[Tile::kRowTiles][2][4]
) {
  constexpr int kGroupBytes = Tile::kColumns / kUnitColumns * kUnitBytes;
  const TileLane<Tile> place;
#pragma unroll
  for (int m = 0; m < Tile::kRowTiles; ++m) {
    const auto* unit = reinterpret_cast<const uint4*>(
        groups + TileGroups<Tile>::of_warp(place, m) * kGroupBytes + half * kUnitBytes
    );
    const uint4 upper = unit[place.lane];
    const uint4 lower = unit[kGroupBytes / 16 + place.lane];
    const std::uint32_t first[4] = {upper.x, lower.x, upper.y, lower.y};
    const std::uint32_t second[4] = {upper.z, lower.z, upper.w, lower.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      a[m][0][i] = first[i];
      a[m][1][i] = second[i];
    }
  }
}

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

  /// Calls use(half, operand A) for both 32 columns.
  template <class Use>
  __device__ __forceinline__ void multiply(const std::byte* stage, const Use& use) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      std::uint32_t a[Tile::kRowTiles][2][4];
      load_bf16_fragments<Tile>(stage, half, a);
      use(half, a);
    }
  }

 private:
  static constexpr int kGroupBytes = 2 * kUnitBytes;  // of a group in a stage
  static constexpr int kCopyBytes = Tile::kThreads * 16;
  static_assert(kCopyBytes % kGroupBytes == 0 && kStageBytes % kCopyBytes == 0);
  static_assert(Tile::kColumns == 2 * kUnitColumns);

  const std::byte* weight_;  // this thread's 16 bytes of a group
  TileGroups<Tile> groups_;
  std::int64_t row_bytes_;  // of a group in the matrix
};

/// MXFP4 weights of a tile, as codes and scales in a stage.
template <class Tile>
class Fp4WeightSource {
 public:
  static constexpr int kCodesBytes = Tile::kRows / kPackedRows * kFp4UnitBytes;
  static constexpr int kStageBytes = kCodesBytes + Tile::kRows / kPackedRows * kFp4ScaleBytes;
  static_assert(kStageBytes % 128 == 0 && Tile::kColumns == kFp4UnitColumns);

  __device__ Fp4WeightSource(const std::byte* weight, int first_row, int num_rows, int num_columns)
      : weight_(weight),
        groups_(first_row, num_rows),
        units_(static_cast<int>(fp4_units_per_row(num_columns))),
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
          scales_of(static_cast<int>(threadIdx.x)) + step * kFp4ScaleBytes
      );
    }
  }

  /// Whether a scale of the tile's rows may be large. Every thread of the block calls it.
  __device__ bool has_large_scales() const {
    constexpr int kThreadsOfGroup = Tile::kThreads / TileGroups<Tile>::kGroups;
    const auto* scales =
        reinterpret_cast<const uint4*>(scales_of(static_cast<int>(threadIdx.x) / kThreadsOfGroup));
    std::uint32_t all = 0;
    for (int unit = static_cast<int>(threadIdx.x) % kThreadsOfGroup; unit < units_;
         unit += kThreadsOfGroup) {
      const uint4 words = scales[unit];
      all |= words.x | words.y | words.z | words.w;
    }
    return __syncthreads_or(static_cast<int>(has_large_scale(all))) != 0;
  }

  /// This lane's codes and scale bytes of a group in a stage.
  __device__ static uint2 codes_at(const std::byte* stage, int group, int lane) {
    return reinterpret_cast<const uint2*>(stage + group * kFp4UnitBytes)[lane];
  }
  __device__ static std::uint32_t scales_at(const std::byte* stage, int group, int lane) {
    return reinterpret_cast<const std::uint16_t*>(
        stage + kCodesBytes + group * kFp4ScaleBytes
    )[lane / 4];
  }

 private:
  static_assert(kFp4ScaleBytes == sizeof(uint4));

  __device__ const std::byte* record_of(int group) const {
    return weight_ + groups_.of_matrix(group) * record_bytes_;
  }
  __device__ const std::byte* scales_of(int group) const {
    return record_of(group) + units_ * kFp4UnitBytes;
  }

  const std::byte* weight_;
  TileGroups<Tile> groups_;
  int units_;
  std::int64_t record_bytes_;
};

/// MXFP4 weights that each warp unpacks for itself: for tiles where no two warps share rows.
template <class Tile, bool kLargeScales>
class Fp4WeightTile {
 public:
  using Source = Fp4WeightSource<Tile>;
  static constexpr int kStageBytes = Source::kStageBytes;
  static_assert(Tile::kTokenWarps == 1);

  __device__ explicit Fp4WeightTile(const Source& source) : source_(source) {}

  __device__ void copy(int step, std::uint32_t to) const { source_.copy(step, to); }

  /// Calls use(half, operand A) for both 32 columns.
  template <class Use>
  __device__ __forceinline__ void multiply(const std::byte* stage, const Use& use) const {
    constexpr int kWarpGroups = 2 * Tile::kRowTiles;
    const TileLane<Tile> place;
    uint2 codes[kWarpGroups];
    std::uint32_t scales[kWarpGroups];
#pragma unroll
    for (int i = 0; i < kWarpGroups; ++i) {
      const int group = TileGroups<Tile>::of_warp(place, 0) + i;
      codes[i] = Source::codes_at(stage, group, place.lane);
      scales[i] = Source::scales_at(stage, group, place.lane);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      std::uint32_t a[Tile::kRowTiles][2][4];
#pragma unroll
      for (int i = 0; i < kWarpGroups; ++i) {
        std::uint32_t pairs[4];
        dequantize_fp4<kLargeScales>(
            half == 0 ? codes[i].x : codes[i].y,
            half == 0 ? scales[i] & 0xFF : scales[i] >> 8,
            pairs
        );
#pragma unroll
        for (int q = 0; q < 4; ++q) a[i / 2][q / 2][q % 2 * 2 + i % 2] = pairs[q];
      }
      use(half, a);
    }
  }

 private:
  const Source& source_;
};

}  // namespace gossamer::kernels::cuda
