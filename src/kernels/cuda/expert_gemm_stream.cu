// Products over experts for tiles of at most 32 pairs.
//
// The work is a list of (tile, 16 rows), by tile. A block has a stretch of the list, keeps its
// tile's tokens in shared memory, and each of its warps takes 16 rows and all their columns at a
// time. A lane reads its codes straight into registers, kDepth units of 64 columns ahead, across
// rows and tiles. Bound by reading the weights, once a tile, and nearly by unpacking them.

#include <algorithm>

#include "kernels/cuda/expert_kernels.cuh"
#include "kernels/cuda/expert_output.cuh"
#include "kernels/cuda/expert_plan.h"
#include "kernels/cuda/fp4_fragments.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/ptx/cp_async.cuh"
#include "kernels/cuda/ptx/ldmatrix.cuh"
#include "kernels/cuda/ptx/mma.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kRows = 16;  // of a warp at a time
constexpr int kDepth = 8;  // units of 64 columns under way
constexpr unsigned kAllLanes = 0xFFFFFFFF;
static_assert(kDepth * kFp4ScaleBytes == 32 * 4, "a lane holds 4 scale bytes of a group of units");

/// What every step needs of the shapes.
struct Extents {
  int units;         // of 64 columns
  int groups;        // of kDepth units
  int row_items;     // of kRows rows
  int record_bytes;  // 8 rows
  int num_items;     // of this step
  std::int64_t expert_bytes;

  __device__ explicit Extents(const ExpertGemmArgs& args)
      : units(static_cast<int>(fp4_units_per_row(args.columns))),
        groups((units + kDepth - 1) / kDepth),
        row_items(args.rows / kRows),
        record_bytes(static_cast<int>(fp4_record_bytes(args.columns))),
        num_items(*args.groups.num_tiles * row_items),
        expert_bytes(packed_fp4_bytes(args.rows, args.columns)) {}
};

/// Goes through the groups of units of a warp's items.
struct Cursor {
  int item;
  int group = 0;
  const std::byte* record = nullptr;  // of the item's upper 8 rows; the lower 8 follow

  /// Looks the item up.
  __device__ void find(const ExpertGemmArgs& args, const Extents& extents) {
    const int tile = item / extents.row_items;
    record = args.weight + args.groups.tiles[tile].expert * extents.expert_bytes +
             std::int64_t{item - tile * extents.row_items} * 2 * extents.record_bytes;
  }
};

/// A lane's share of kDepth units: the codes of row lane / 4 of both halves, and scales of any row.
struct Codes {
  uint2 upper[kDepth];
  uint2 lower[kDepth];
  std::uint32_t upper_scales;
  std::uint32_t lower_scales;
};

__device__ __forceinline__ uint2 load_codes(const std::byte* address) {
  return __ldcs(reinterpret_cast<const uint2*>(address));
}

/// Starts to load unit `s` of a group, if the record has it.
__device__ __forceinline__ void load_unit(
    const Cursor& cursor, const Extents& extents, bool valid, int s, int lane, Codes& codes
) {
  const int unit = cursor.group * kDepth + s;
  if (!valid || unit >= extents.units) return;
  const std::byte* address = cursor.record + unit * kFp4UnitBytes + lane * 8;
  codes.upper[s] = load_codes(address);
  codes.lower[s] = load_codes(address + extents.record_bytes);
}

/// Lane l has unit l / 4 of the group, rows 2 (l % 4) and the next: two scale bytes of each.
__device__ __forceinline__ uint2
load_scales(const Cursor& cursor, const Extents& extents, bool valid, int lane) {
  if (!valid || cursor.group * kDepth + lane / 4 >= extents.units) return make_uint2(0, 0);
  const std::byte* address = cursor.record + extents.units * kFp4UnitBytes +
                             cursor.group * kDepth * kFp4ScaleBytes + lane * 4;
  return make_uint2(
      *reinterpret_cast<const std::uint32_t*>(address),
      *reinterpret_cast<const std::uint32_t*>(address + extents.record_bytes)
  );
}

/// Adds the products of a unit to the sums. `tokens` is this lane's row for ldmatrix, at the unit.
template <int kTokenTiles, bool kLargeScales>
__device__ __forceinline__ void multiply_unit(
    const Codes& codes,
    int s,
    std::uint32_t tokens,
    int row_bytes,
    int active,
    int lane,
    float (&sums)[kTokenTiles][4]
) {
  // Row g = lane / 4 of unit s: lane 4 s + g / 2 has its two bytes, in half g % 2.
  const int holder = 4 * s + lane / 8;
  const std::uint32_t shift = lane / 4 % 2 * 16;
  const std::uint32_t upper_scales = __shfl_sync(kAllLanes, codes.upper_scales, holder) >> shift;
  const std::uint32_t lower_scales = __shfl_sync(kAllLanes, codes.lower_scales, holder) >> shift;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    std::uint32_t upper[4];
    std::uint32_t lower[4];
    dequantize_fp4<kLargeScales>(
        half == 0 ? codes.upper[s].x : codes.upper[s].y, upper_scales >> (8 * half) & 0xFF, upper
    );
    dequantize_fp4<kLargeScales>(
        half == 0 ? codes.lower[s].x : codes.lower[s].y, lower_scales >> (8 * half) & 0xFF, lower
    );
#pragma unroll
    for (int i = 0; i < kTokenTiles; ++i) {
      if (i >= active) break;
      std::uint32_t b[4];
      ptx::load_matrices(b, tokens + half * 64 + i * 8 * row_bytes);
      ptx::mma_bf16(sums[i], upper[0], lower[0], upper[1], lower[1], b[0], b[1]);
      ptx::mma_bf16(sums[i], upper[2], lower[2], upper[3], lower[3], b[2], b[3]);
    }
  }
}

/// The tokens of a tile in shared memory.
template <int kTokenTiles>
struct TokenTile {
  std::uint32_t rows;  // address of [8 kTokenTiles] rows of row_bytes
  int row_bytes;
  std::int32_t* pairs;  // [8 kTokenTiles], in shared memory
  int count = 0;

  /// Brings the tokens of a tile. A barrier must be before it, and is its end.
  __device__ void load(const ExpertGemmArgs& args, const ExpertTile& tile) {
    count = tile.count;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int num_warps = static_cast<int>(blockDim.x) / 32;
    const int row_chunks = (row_bytes - 16) / 16;
    const int valid_chunks = args.columns / 8;
    for (int token = static_cast<int>(threadIdx.x) / 32; token < count; token += num_warps) {
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

/// Stores a warp's sums of 16 rows.
template <int kTokenTiles, ExpertGemmOutput kOutput>
__device__ __forceinline__ void store_rows(
    const ExpertGemmArgs& args,
    const TokenTile<kTokenTiles>& tokens,
    int expert,
    int first_row,
    int lane,
    const float (&sums)[kTokenTiles][4]
) {
  const int row = first_row + lane / 4;
  const __nv_bfloat16* bias = args.bias + std::int64_t{expert} * args.rows + row;
  const float biases[2] = {__bfloat162float(bias[0]), __bfloat162float(bias[8])};
#pragma unroll
  for (int i = 0; i < kTokenTiles; ++i) {
    const int token = i * 8 + lane % 4 * 2;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float first = sums[i][2 * h] + biases[h];
      const float second = sums[i][2 * h + 1] + biases[h];
      if constexpr (kOutput == ExpertGemmOutput::kSwiglu) {
        // Lanes of an even row have gates, those 4 on their linear parts: each makes one token's.
        const bool even = lane / 4 % 2 == 0;
        const float other = __shfl_xor_sync(kAllLanes, even ? second : first, 4);
        const int mine = token + (even ? 0 : 1);
        if (mine >= tokens.count) continue;
        const float value =
            clamped_swiglu(even ? first : other, even ? other : second, args.swiglu_limit);
        const std::int64_t index =
            std::int64_t{tokens.pairs[mine]} * (args.rows / 2) + (row + 8 * h) / 2;
        static_cast<__nv_bfloat16*>(args.y)[index] = __float2bfloat16_rn(value);
      } else {
        auto* y = static_cast<float*>(args.y) + row + 8 * h;
        if (token < tokens.count) y[std::int64_t{tokens.pairs[token]} * args.rows] = first;
        if (token + 1 < tokens.count) y[std::int64_t{tokens.pairs[token + 1]} * args.rows] = second;
      }
    }
  }
}

template <int kTokenTiles, int kWarps, int kMinBlocks, ExpertGemmOutput kOutput>
__global__ void __launch_bounds__(kWarps * 32, kMinBlocks)
    expert_gemm_stream_kernel(ExpertGemmArgs args) {
  extern __shared__ uint4 shared[];
  __shared__ std::int32_t pairs[kTokenTiles * 8];
  const Extents extents(args);
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const auto num_blocks = static_cast<std::int64_t>(gridDim.x);
  const auto begin = static_cast<int>(blockIdx.x * std::int64_t{extents.num_items} / num_blocks);
  const auto end =
      static_cast<int>((blockIdx.x + 1) * std::int64_t{extents.num_items} / num_blocks);
  if (begin == end) return;

  Cursor now{begin + warp};
  Codes codes{};
  if (now.item < end) now.find(args, extents);
#pragma unroll
  for (int s = 0; s < kDepth; ++s) load_unit(now, extents, now.item < end, s, lane, codes);
  uint2 scales = load_scales(now, extents, now.item < end, lane);

  TokenTile<kTokenTiles> tokens{
      ptx::shared_address(shared), static_cast<int>(expert_stream_row_bytes(args.columns)), pairs};
  const std::uint32_t lane_tokens = tokens.rows + lane % 8 * tokens.row_bytes + lane / 8 * 16;
  for (int tile = begin / extents.row_items; tile * extents.row_items < end; ++tile) {
    const int expert = args.groups.tiles[tile].expert;
    tokens.load(args, args.groups.tiles[tile]);
    const int active = (tokens.count + 7) / 8;
    const int tile_end = min(end, (tile + 1) * extents.row_items);
    while (now.item < tile_end) {
      float sums[kTokenTiles][4] = {};
      const int first_row = (now.item - tile * extents.row_items) * kRows;
      for (int group = 0; group < extents.groups; ++group) {
        codes.upper_scales = scales.x;
        codes.lower_scales = scales.y;
        const std::uint32_t group_tokens = lane_tokens + group * kDepth * kFp4UnitColumns * 2;
        const int units = extents.units - group * kDepth;
        if (++now.group == extents.groups) {
          now.group = 0;
          now.item += kWarps;
          if (now.item < end) now.find(args, extents);
        }
        const bool more = now.item < end;
        scales = load_scales(now, extents, more, lane);
        const bool large =
            __any_sync(kAllLanes, has_large_scale(codes.upper_scales | codes.lower_scales));
#pragma unroll
        for (int s = 0; s < kDepth; ++s) {
          if (s < units) {
            const std::uint32_t unit_tokens = group_tokens + s * kFp4UnitColumns * 2;
            if (large) {
              multiply_unit<kTokenTiles, true>(
                  codes, s, unit_tokens, tokens.row_bytes, active, lane, sums
              );
            } else {
              multiply_unit<kTokenTiles, false>(
                  codes, s, unit_tokens, tokens.row_bytes, active, lane, sums
              );
            }
          }
          load_unit(now, extents, more, s, lane, codes);
        }
      }
      store_rows<kTokenTiles, kOutput>(args, tokens, expert, first_row, lane, sums);
    }
    __syncthreads();
  }
}

template <int kTokenTiles, int kWarps, int kMinBlocks>
void launch(const ExpertGemmArgs& args, const GemmDevice& device, cudaStream_t stream) {
  constexpr int kTokens = kTokenTiles * 8;
  const auto kernel =
      args.output == ExpertGemmOutput::kSwiglu
          ? expert_gemm_stream_kernel<kTokenTiles, kWarps, kMinBlocks, ExpertGemmOutput::kSwiglu>
          : expert_gemm_stream_kernel<kTokenTiles, kWarps, kMinBlocks, ExpertGemmOutput::kF32>;
  const auto shared_bytes = static_cast<int>(expert_stream_shared_bytes(kTokens, args.columns));
  check(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes),
      "cudaFuncSetAttribute"
  );
  const std::int64_t most_items =
      max_expert_tiles(args.num_pairs, args.num_experts) * (args.rows / kRows);
  const auto num_blocks = static_cast<unsigned>(
      std::min<std::int64_t>(most_items, std::int64_t{device.num_multiprocessors} * kMinBlocks)
  );
  kernel<<<num_blocks, kWarps * 32, shared_bytes, stream>>>(args);
  check(cudaGetLastError(), "expert_gemm_stream_kernel");
}

}  // namespace

void launch_expert_gemm_stream(
    const ExpertGemmArgs& args, int tile_pairs, const GemmDevice& device, cudaStream_t stream
) {
  switch (tile_pairs) {
    case 8:
      return launch<1, 8, 2>(args, device, stream);
    case 16:
      return launch<2, 8, 2>(args, device, stream);
    default:
      return launch<4, 16, 1>(args, device, stream);
  }
}

}  // namespace gossamer::kernels::cuda
