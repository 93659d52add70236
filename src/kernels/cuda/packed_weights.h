#pragma once

#include <cstddef>
#include <cstdint>

namespace gossamer::kernels::cuda {

// Weights lie on the device in the order in which the lanes of a warp want them for
// mma.m16n8k16, where the weights are the row-major operand A: Y^T = W X^T. Lane l = 4 g + t holds,
// of a 16 x 16 tile, rows g and g + 8 and columns {2t, 2t + 1, 2t + 8, 2t + 9}. Tiles are stored by
// halves of 8 rows, so that any two halves make an mma tile. Rows are padded with zeros to a
// multiple of 16, columns to one of 64.

inline constexpr int kPackedRows = 8;       // rows of a half tile
inline constexpr int kPackedRowAlign = 16;  // rows are padded to this
inline constexpr int kPackedColumnAlign = 64;

constexpr std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// --- BF16: units of 8 rows x 32 columns, 512 bytes ---
// Unit (r, u) holds rows 8r.. and columns 32u.., at byte (r * units_per_row + u) * 512. Lane 4g + t
// has 16 bytes at 16 * lane: row 8r + g, and for s in {0, 1} the columns 32u + 16s +
// {2t, 2t + 1, 2t + 8, 2t + 9}, each pair a 32-bit register of operand A.

inline constexpr int kUnitColumns = 32;
inline constexpr int kUnitBytes = 512;

constexpr std::int64_t units_per_row(std::int64_t columns) {
  return round_up(columns, kPackedColumnAlign) / kUnitColumns;
}
constexpr std::int64_t packed_bf16_bytes(std::int64_t rows, std::int64_t columns) {
  return round_up(rows, kPackedRowAlign) / kPackedRows * units_per_row(columns) * kUnitBytes;
}

// --- MXFP4: records of 8 rows and all columns ---
// Record r of an expert holds rows 8r..: first, for each c = 64 columns, 256 bytes, lane 4g + t's 8
// at 8 * lane: row 8r + g, columns 64c + 16j + {2t, 2t + 1, 2t + 8, 2t + 9} for j = 0..3. Then, for
// each c, 16 bytes: for each g the scale bytes of row 8r + g's two blocks of 32 columns.
//
// The 8 bytes are two words; word w holds steps j = 2w and 2w + 1. A word's codes are spread so
// that register q of 4 (q = 2 (j % 2) + (0 for columns 2t, 2t + 1; 1 for 2t + 8, 2t + 9)), whose
// lower half is the even column and whose upper half the odd one, comes out with few instructions
// as the bf16 pattern (sign at bit 15, the code's other bits at 8, 7, 6), which is the value times
// 2^-126. In each 16-bit half of the word the code s e1 e0 m (bits 3..0 of the released nibble)
// lies at bits
//   q = 0: 15,  8,  7,  6      register =  w       & 0x81C081C0
//   q = 1:  9,  2,  1,  0      register = (w << 6) & 0x81C081C0
//   q = 2:  3, 12, 11, 10      register = (w rotated left by 12) & 0x81C081C0
//   q = 3: 13, 14,  5,  4      register = (w << 2) & 0x80C080C0 | (w >> 6) & 0x01000100
// but for q = 2 the bits e1 e0 m lie in the other half: the rotation brings them.
// A scale byte b stands for 2^(b - 127), as released.

inline constexpr int kFp4UnitColumns = 64;
inline constexpr int kFp4UnitBytes = 256;
inline constexpr int kFp4ScaleBytes = 16;

constexpr std::int64_t fp4_units_per_row(std::int64_t columns) {
  return round_up(columns, kFp4UnitColumns) / kFp4UnitColumns;
}
constexpr std::int64_t fp4_record_bytes(std::int64_t columns) {
  return fp4_units_per_row(columns) * (kFp4UnitBytes + kFp4ScaleBytes);
}
constexpr std::int64_t packed_fp4_bytes(std::int64_t rows, std::int64_t columns) {
  return round_up(rows, kPackedRowAlign) / kPackedRows * fp4_record_bytes(columns);
}

// --- KV cache, BF16 ---
// Keys of a (block, head) cell are [kBlockSize][head_dim], rotated; values are transposed:
// [head_dim][kBlockSize]. Cells are ordered [num_blocks][num_key_value_heads].

}  // namespace gossamer::kernels::cuda
