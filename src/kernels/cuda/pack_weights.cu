// Released layouts into those of packed_weights.h, once, while a checkpoint is loaded.
//
// A warp makes the 512 bytes of a bf16 unit, or the 272 bytes of an MXFP4 record's 64 columns: a
// lane gathers what packed_weights.h says it will want and stores it in one piece. The units of a
// matrix are numbered in the order in which they lie in memory. Bound by the memory's bandwidth,
// and far above that of the bus that brings the weights.

#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/pack_weights.cuh"
#include "kernels/cuda/packed_weights.h"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarpSize = 32;
constexpr int kUnitsPerBlock = kThreads / kWarpSize;
static_assert(kUnitBytes == kWarpSize * sizeof(uint4));
static_assert(kFp4UnitBytes == kWarpSize * sizeof(uint2));

/// Where a lane's values lie in a half tile of operand A.
struct Lane {
  int row;     // of 8
  int column;  // of its first pair; the second is 8 further
};

__device__ Lane lane_of(int lane) {
  return {lane / 4, lane % 4 * 2};
}

__device__ std::uint32_t bf16_pair(
    const PackBf16Args& args, std::int64_t row, std::int64_t column
) {
  const std::uint16_t* values = args.rows + row * args.num_columns + column;
  const std::uint32_t low = column < args.num_columns ? values[0] : 0;
  const std::uint32_t high = column + 1 < args.num_columns ? values[1] : 0;
  return low | high << 16U;
}

__global__ void __launch_bounds__(kThreads)
    pack_bf16_kernel(PackBf16Args args, std::int64_t row_units, std::int64_t num_units) {
  const std::int64_t unit = std::int64_t{blockIdx.x} * kUnitsPerBlock + threadIdx.x / kWarpSize;
  if (unit >= num_units) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const Lane place = lane_of(lane);
  const std::int64_t row = unit / row_units * kPackedRows + place.row;
  const std::int64_t column = unit % row_units * kUnitColumns + place.column;
  uint4 registers = make_uint4(0, 0, 0, 0);
  if (row < args.num_rows) {
    registers.x = bf16_pair(args, row, column);
    registers.y = bf16_pair(args, row, column + 8);
    registers.z = bf16_pair(args, row, column + 16);
    registers.w = bf16_pair(args, row, column + 24);
  }
  reinterpret_cast<uint4*>(args.packed + unit * kUnitBytes)[lane] = registers;
}

/// A released byte, the code of an even column and above it that of the next, at the bits of
/// register q; see packed_weights.h.
__device__ std::uint32_t spread_byte(std::uint32_t byte, int q) {
  const std::uint32_t codes = (byte & 15U) | byte >> 4U << 16U;
  const std::uint32_t pattern = (codes & 0x00080008U) << 12U | (codes & 0x00070007U) << 6U;
  switch (q) {
    case 0:
      return pattern;
    case 1:
      return pattern >> 6U;
    case 2:
      return __funnelshift_r(pattern, pattern, 12);
    default:
      return (pattern & 0x80C080C0U) >> 2U | (pattern & 0x01000100U) << 6U;
  }
}

/// One word: the steps j = 2w and 2w + 1 of a lane, from the 16 bytes that hold 32 columns.
__device__ std::uint32_t pack_word(const std::uint8_t* block, int pair) {
  return spread_byte(block[pair], 0) | spread_byte(block[pair + 4], 1) |
         spread_byte(block[pair + 8], 2) | spread_byte(block[pair + 12], 3);
}

__global__ void __launch_bounds__(kThreads)
    pack_fp4_kernel(PackFp4Args args, std::int64_t row_units, std::int64_t num_units) {
  const std::int64_t unit = std::int64_t{blockIdx.x} * kUnitsPerBlock + threadIdx.x / kWarpSize;
  if (unit >= num_units) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const Lane place = lane_of(lane);
  const std::int64_t record = unit / row_units;
  const std::int64_t c = unit % row_units;  // which 64 columns
  const std::int64_t row = record * kPackedRows + place.row;
  const std::int64_t row_blocks = args.num_columns / kUnitColumns;
  const std::int64_t first_block = row * row_blocks + 2 * c;
  uint2 words = make_uint2(0, 0);
  uchar2 scales = make_uchar2(0, 0);
  if (row < args.num_rows) {
    const std::uint8_t* block = args.blocks + first_block * 16;
    words.x = pack_word(block, place.column / 2);
    scales.x = args.scales[first_block];
    if (2 * c + 1 < row_blocks) {
      words.y = pack_word(block + 16, place.column / 2);
      scales.y = args.scales[first_block + 1];
    }
  }
  std::byte* out = args.packed + record * fp4_record_bytes(args.num_columns);
  reinterpret_cast<uint2*>(out + c * kFp4UnitBytes)[lane] = words;
  if (lane % 4 == 0) {
    std::byte* out_scales = out + row_units * kFp4UnitBytes + c * kFp4ScaleBytes;
    reinterpret_cast<uchar2*>(out_scales)[place.row] = scales;
  }
}

unsigned blocks_for(std::int64_t num_units) {
  return static_cast<unsigned>((num_units + kUnitsPerBlock - 1) / kUnitsPerBlock);
}

}  // namespace

void launch_pack_bf16(const PackBf16Args& args, cudaStream_t stream) {
  const std::int64_t row_units = units_per_row(args.num_columns);
  const std::int64_t num_units = round_up(args.num_rows, kPackedRowAlign) / kPackedRows * row_units;
  if (num_units == 0) return;
  pack_bf16_kernel<<<blocks_for(num_units), kThreads, 0, stream>>>(args, row_units, num_units);
  check(cudaGetLastError(), "pack_bf16_kernel");
}

void launch_pack_fp4(const PackFp4Args& args, cudaStream_t stream) {
  const std::int64_t row_units = fp4_units_per_row(args.num_columns);
  const std::int64_t num_units = round_up(args.num_rows, kPackedRowAlign) / kPackedRows * row_units;
  if (num_units == 0) return;
  pack_fp4_kernel<<<blocks_for(num_units), kThreads, 0, stream>>>(args, row_units, num_units);
  check(cudaGetLastError(), "pack_fp4_kernel");
}

}  // namespace gossamer::kernels::cuda
