#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/cuda/packed_weights.h"
#include "tensor/dtype.h"
#include "tensor/mxfp4.h"

namespace gossamer::kernels::cuda {

/// A matrix of bf16, row-major, in the units of packed_weights.h.
inline std::vector<std::byte> pack_bf16(
    const std::vector<tensor::BFloat16>& matrix, std::int64_t rows, std::int64_t columns
) {
  std::vector<std::byte> packed(static_cast<std::size_t>(packed_bf16_bytes(rows, columns)));
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t unit = row / kPackedRows * units_per_row(columns) + column / kUnitColumns;
      const std::int64_t lane = row % kPackedRows * 4 + column % 8 / 2;
      const std::int64_t in_lane = column % kUnitColumns / 8 * 2 + column % 2;
      std::memcpy(
          packed.data() + unit * kUnitBytes + lane * 16 + in_lane * 2,
          matrix.data() + row * columns + column,
          2
      );
    }
  }
  return packed;
}

/// A matrix of MXFP4 as released: a byte a code, and a byte a block of 32 codes.
struct Fp4Matrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<std::uint8_t> codes;   // [rows, columns]
  std::vector<std::uint8_t> scales;  // [rows, columns / 32]

  double value(std::int64_t row, std::int64_t column) const {
    return static_cast<double>(
               tensor::kMxfp4Values[codes[static_cast<std::size_t>(row * columns + column)]]
           ) *
           tensor::mxfp4_scale(scales[static_cast<std::size_t>((row * columns + column) / 32)]);
  }
};

/// The bit of a word where bits 0 to 3 of register q's code lie: [q][the register's lower or upper
/// half][bit].
inline constexpr int kFp4Bits[4][2][4] = {
    {{6, 7, 8, 15}, {22, 23, 24, 31}},
    {{0, 1, 2, 9}, {16, 17, 18, 25}},
    {{26, 27, 28, 3}, {10, 11, 12, 19}},
    {{4, 5, 14, 13}, {20, 21, 30, 29}},
};

/// In the records of packed_weights.h.
inline std::vector<std::byte> pack_fp4(const Fp4Matrix& matrix) {
  const std::int64_t record_bytes = fp4_record_bytes(matrix.columns);
  std::vector<std::byte> packed(
      static_cast<std::size_t>(packed_fp4_bytes(matrix.rows, matrix.columns))
  );
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    std::byte* record = packed.data() + row / kPackedRows * record_bytes;
    std::byte* scales = record + fp4_units_per_row(matrix.columns) * kFp4UnitBytes;
    for (std::int64_t column = 0; column < matrix.columns; ++column) {
      const std::int64_t unit = column / kFp4UnitColumns;
      const std::int64_t lane = row % kPackedRows * 4 + column % 8 / 2;
      const std::int64_t word = column % kFp4UnitColumns / 32;
      const auto q = static_cast<std::size_t>(column % 32 / 8);
      const std::uint8_t code =
          matrix.codes[static_cast<std::size_t>(row * matrix.columns + column)];
      std::uint32_t bits = 0;
      for (int bit = 0; bit < 4; ++bit) {
        const std::uint32_t is_set = code >> bit & 1U;
        bits |= is_set << kFp4Bits[q][column % 2][bit];
      }
      std::byte* place = record + unit * kFp4UnitBytes + lane * 8 + word * 4;
      std::uint32_t old = 0;
      std::memcpy(&old, place, 4);
      bits |= old;
      std::memcpy(place, &bits, 4);
      scales[unit * kFp4ScaleBytes + row % kPackedRows * 2 + word] = static_cast<std::byte>(
          matrix.scales[static_cast<std::size_t>((row * matrix.columns + column) / 32)]
      );
    }
  }
  return packed;
}

}  // namespace gossamer::kernels::cuda
