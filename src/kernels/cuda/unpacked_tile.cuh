#pragma once

// A ProductTile of MXFP4 weights where several warps share rows: the block unpacks a step's weights
// once, into bf16 units in shared memory, while its tensor cores are at the step before.

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/fp4_fragments.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/product_tile.cuh"
#include "kernels/cuda/ptx/cp_async.cuh"
#include "kernels/cuda/weight_tiles.cuh"

namespace gossamer::kernels::cuda {

/// Where a block's stages and unpacked steps lie in shared memory.
template <class Tile>
struct UnpackedTileMemory {
  static constexpr int kStageBytes = Fp4WeightSource<Tile>::kStageBytes + Tile::kTokenStageBytes;
  static constexpr int kUnpackedBytes = Tile::kRows * Tile::kColumns * 2;
  static constexpr int kBytes = Tile::kStages * kStageBytes + 2 * kUnpackedBytes;
};

/// A warp's share of unpacking a step: some of the tile's groups, a piece at a time. A piece is 32
/// columns of a group.
template <class Tile, bool kLargeScales>
class Unpacker {
 public:
  static constexpr int kPieces = 2 * TileGroups<Tile>::kGroups * 32 / Tile::kThreads;

  __device__ __forceinline__ Unpacker(const std::byte* stage, std::byte* unpacked)
      : stage_(stage), unpacked_(unpacked) {}

  __device__ __forceinline__ void unpack(int piece) const {
    const int group = first_group() + piece / 2;
    const int half = piece % 2;
    const uint2 codes = Fp4WeightSource<Tile>::codes_at(stage_, group, lane());
    const std::uint32_t scales = Fp4WeightSource<Tile>::scales_at(stage_, group, lane());
    std::uint32_t pairs[4];
    dequantize_fp4<kLargeScales>(
        half == 0 ? codes.x : codes.y, half == 0 ? scales & 0xFF : scales >> 8, pairs
    );
    std::byte* unit = unpacked_ + (group * 2 + half) * kUnitBytes;
    reinterpret_cast<uint4*>(unit)[lane()] = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
  }

 private:
  __device__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }
  __device__ static int first_group() { return static_cast<int>(threadIdx.x) / 32 * (kPieces / 2); }

  const std::byte* stage_;
  std::byte* unpacked_;
};

/// Does an Unpacker's pieces between the products of a step, as evenly as they go.
template <int kHalf, int kActive, class TileUnpacker>
struct UnpackBetween {
  const TileUnpacker& unpacker;

  __device__ __forceinline__ void operator()(int i) const {
    constexpr int kSlots = 2 * kActive;
    const int slot = kHalf * kActive + i;
#pragma unroll
    for (int piece = 0; piece < TileUnpacker::kPieces; ++piece) {
      if (piece * kSlots / TileUnpacker::kPieces == slot) unpacker.unpack(piece);
    }
  }
};

/// Sums over all steps of 64 columns, as multiply_tile(). `shared` has UnpackedTileMemory::kBytes.
template <class Tile, int kActive, bool kLargeScales>
__device__ __forceinline__ void multiply_unpacked_tile(
    const Fp4WeightSource<Tile>& weights,
    const TokenSource<Tile>& source,
    int steps,
    std::byte* shared,
    TileSums<Tile>& sums
) {
  using Memory = UnpackedTileMemory<Tile>;
  using TileUnpacker = Unpacker<Tile, kLargeScales>;
  constexpr int kWeightBytes = Fp4WeightSource<Tile>::kStageBytes;
  const TileLane<Tile> place;
  const std::uint32_t address = ptx::shared_address(shared);
  const std::uint32_t lane_tokens = kWeightBytes + lane_tokens_offset<Tile>(place);
  std::byte* const unpacked = shared + Tile::kStages * Memory::kStageBytes;
  const auto stage_at = [&](int stage) { return shared + stage * Memory::kStageBytes; };
  // Weights are needed a step before the tokens, and travel with the tokens of that step.
  const auto start_copy = [&](int step, int stage) {
    const std::uint32_t to = address + stage * Memory::kStageBytes;
    const std::uint32_t next = address + next_stage<Tile>(stage) * Memory::kStageBytes;
    if (step + 1 < steps) weights.copy(step + 1, next);
    if (step < steps)
      source.template copy<kActive * 8 * Tile::kTokenWarps>(step, to + kWeightBytes);
    ptx::commit_copies();
  };
  weights.copy(0, address);
#pragma unroll
  for (int i = 0; i < Tile::kStages - 1; ++i) start_copy(i, i);
  ptx::wait_for_copies<Tile::kStages - 2>();
  __syncthreads();
  const TileUnpacker first(shared, unpacked);
#pragma unroll
  for (int piece = 0; piece < TileUnpacker::kPieces; ++piece) first.unpack(piece);

  int stage = 0;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    ptx::wait_for_copies<Tile::kStages - 2>();
    __syncthreads();
    start_copy(step + Tile::kStages - 1, stage_before<Tile>(stage));
    // Behind the last step this unpacks what is there, for nobody.
    const TileUnpacker next(
        stage_at(next_stage<Tile>(stage)), unpacked + (step + 1) % 2 * Memory::kUnpackedBytes
    );
    const std::byte* now = unpacked + step % 2 * Memory::kUnpackedBytes;
    const std::uint32_t tokens = lane_tokens + stage * Memory::kStageBytes;
    std::uint32_t a[Tile::kRowTiles][2][4];
    load_bf16_fragments<Tile>(now, 0, a);
    multiply_half<Tile, kActive>(
        a, address + tokens, sums, UnpackBetween<0, kActive, TileUnpacker>{next}
    );
    load_bf16_fragments<Tile>(now, 1, a);
    multiply_half<Tile, kActive>(
        a, address + (tokens ^ 64), sums, UnpackBetween<1, kActive, TileUnpacker>{next}
    );
    stage = next_stage<Tile>(stage);
  }
  ptx::wait_for_copies<0>();
  __syncthreads();
}

}  // namespace gossamer::kernels::cuda
