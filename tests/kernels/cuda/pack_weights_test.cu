#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/pack_weights.cuh"
#include "kernels/cuda/packed_weights.h"
#include "tensor/mxfp4.h"
#include "tests/kernels/cuda/device_array.cuh"
#include "tests/kernels/cuda/packing.h"

namespace gossamer::kernels::cuda {
namespace {

/// Row and column of a matrix.
using Place = std::pair<std::int64_t, std::int64_t>;

const std::vector<Place> kBf16Shapes = {
    {1, 1}, {8, 32}, {16, 64}, {17, 65}, {3, 31}, {33, 96}, {32, 2880}, {5120, 2880}, {50, 4096}};

// Columns of MXFP4 come in blocks of 32.
const std::vector<Place> kFp4Shapes = {
    {1, 32}, {8, 64}, {16, 96}, {17, 32}, {33, 160}, {5760, 2880}};

std::vector<std::uint8_t> random_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint8_t> bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

/// Where the bf16 at `index` of a packed matrix comes from.
Place bf16_place(std::int64_t index, std::int64_t columns) {
  const std::int64_t unit = index * 2 / kUnitBytes;
  const std::int64_t lane = index * 2 % kUnitBytes / 16;
  const std::int64_t in_lane = index % 8;  // bf16s: s, then which pair, then which of the pair
  const std::int64_t row_units = units_per_row(columns);
  return {
      unit / row_units * 8 + lane / 4,
      unit % row_units * 32 + in_lane / 4 * 16 + in_lane % 4 / 2 * 8 + lane % 4 * 2 + in_lane % 2};
}

void expect_bf16_round_trip(Place shape) {
  const auto [rows, columns] = shape;
  std::vector<std::uint16_t> values(static_cast<std::size_t>(rows * columns));
  std::mt19937_64 random(1);
  for (std::uint16_t& value : values)
    value = static_cast<std::uint16_t>(random() | 1U);  // no zeros
  const DeviceArray<std::uint16_t> source(values);
  const DeviceArray<std::uint16_t> packed(
      static_cast<std::size_t>(packed_bf16_bytes(rows, columns)) / 2
  );
  launch_pack_bf16(
      {source.data(), reinterpret_cast<std::byte*>(packed.data()), rows, columns}, nullptr
  );
  std::vector<std::uint16_t> unpacked(values.size());
  std::int64_t index = 0;
  for (const std::uint16_t value : packed.download()) {
    const auto [row, column] = bf16_place(index++, columns);
    if (row < rows && column < columns) {
      unpacked[static_cast<std::size_t>(row * columns + column)] = value;
    } else {
      ASSERT_EQ(value, 0) << rows << " x " << columns << ", padding at " << row << ", " << column;
    }
  }
  EXPECT_TRUE(unpacked == values) << rows << " x " << columns;
}

TEST(PackWeightsTest, EveryBf16LandsWhereItsLaneLooks) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const Place& shape : kBf16Shapes) expect_bf16_round_trip(shape);
}

TEST(PackWeightsTest, PiecesOfBf16MakeTheSameMatrix) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  constexpr std::int64_t kRows = 50;
  constexpr std::int64_t kColumns = 96;
  const std::vector<std::uint8_t> bytes = random_bytes(kRows * kColumns * 2, 2);
  const DeviceArray<std::uint8_t> source(bytes);
  const auto* rows = reinterpret_cast<const std::uint16_t*>(source.data());
  const auto size = static_cast<std::size_t>(packed_bf16_bytes(kRows, kColumns));
  const DeviceArray<std::byte> whole(size);
  const DeviceArray<std::byte> pieces(size);
  launch_pack_bf16({rows, whole.data(), kRows, kColumns}, nullptr);
  for (std::int64_t row = 0; row < kRows; row += 32) {
    launch_pack_bf16(
        {rows + row * kColumns,
         pieces.data() + packed_bf16_bytes(row, kColumns),
         std::min<std::int64_t>(32, kRows - row),
         kColumns},
        nullptr
    );
  }
  EXPECT_TRUE(whole.download() == pieces.download());
}

/// The four registers of a packed word, by the formulas of packed_weights.h.
std::array<std::uint32_t, 4> registers_of(std::uint32_t w) {
  return {
      w & 0x81C081C0U,
      (w << 6U) & 0x81C081C0U,
      std::rotl(w, 12) & 0x81C081C0U,
      ((w << 2U) & 0x80C080C0U) | ((w >> 6U) & 0x01000100U)};
}

/// What half of a register, a bf16 pattern, is worth; the 2^-126 taken out again.
double value_of(std::uint32_t pattern) {
  return std::ldexp(static_cast<double>(std::bit_cast<float>(pattern << 16U)), 126);
}

/// A matrix on the host, decoded as double.
class Fp4Matrix {
 public:
  explicit Fp4Matrix(Place shape) : rows_(shape.first), columns_(shape.second) {}

  std::size_t num_blocks() const { return static_cast<std::size_t>(rows_ * columns_ / 32); }

  std::vector<double> decode_released(
      const std::vector<std::uint8_t>& blocks, const std::vector<std::uint8_t>& scales
  ) const {
    std::vector<double> values(num_blocks() * 32);
    for (std::size_t b = 0; b < num_blocks(); ++b) {
      tensor::decode_mxfp4_block(
          std::span<const std::uint8_t, 16>(blocks.data() + b * 16, 16),
          scales[b],
          std::span<double, 32>(values.data() + b * 32, 32)
      );
    }
    return values;
  }

  /// Reads every lane of every unit; padding must decode to nothing.
  std::vector<double> decode_packed(const std::vector<std::uint8_t>& packed) const {
    std::vector<double> values(num_blocks() * 32, std::nan(""));
    for (std::int64_t record = 0; record < round_up(rows_, 16) / 8; ++record) {
      for (std::int64_t c = 0; c < fp4_units_per_row(columns_); ++c) {
        for (std::int64_t lane = 0; lane < 32; ++lane) {
          read_lane(packed.data() + record * fp4_record_bytes(columns_), record, c, lane, values);
        }
      }
    }
    return values;
  }

 private:
  void read_lane(
      const std::uint8_t* bytes,
      std::int64_t record,
      std::int64_t c,
      std::int64_t lane,
      std::vector<double>& values
  ) const {
    const std::int64_t row = record * 8 + lane / 4;
    const std::uint8_t* scales = bytes + fp4_units_per_row(columns_) * 256 + c * 16 + lane / 4 * 2;
    for (std::int64_t w = 0; w < 2; ++w) {
      std::uint32_t word = 0;
      std::memcpy(&word, bytes + c * 256 + lane * 8 + w * 4, 4);
      const auto registers = registers_of(word);
      for (std::int64_t q = 0; q < 4; ++q) {
        for (std::int64_t half = 0; half < 2; ++half) {
          const std::int64_t column =
              64 * c + 32 * w + q / 2 * 16 + q % 2 * 8 + lane % 4 * 2 + half;
          const double value =
              value_of(registers[static_cast<std::size_t>(q)] >> (16 * half) & 0xFFFFU);
          if (row < rows_ && column < columns_) {
            values[static_cast<std::size_t>(row * columns_ + column)] =
                value * tensor::mxfp4_scale(scales[w]);
          } else {
            EXPECT_EQ(value, 0) << "padding at " << row << ", " << column;
            EXPECT_EQ(scales[w], 0) << "scale of padding at " << row << ", " << column;
          }
        }
      }
    }
  }

  std::int64_t rows_;
  std::int64_t columns_;
};

/// Whether all are the same, the signs of zeros too: a product with an infinity would show them.
void expect_same(
    const std::vector<double>& actual, const std::vector<double>& expected, const std::string& what
) {
  std::size_t differences = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const bool same =
        actual[i] == expected[i] && std::signbit(actual[i]) == std::signbit(expected[i]);
    if (!same && differences++ == 0) {
      ADD_FAILURE() << what << ", first at " << i << ": " << actual[i] << " instead of "
                    << expected[i];
    }
  }
  EXPECT_EQ(differences, 0U) << what;
}

/// Packs in pieces of so many rows, a multiple of 16.
void expect_fp4_round_trip(Place shape, std::int64_t piece_rows) {
  const auto [rows, columns] = shape;
  const Fp4Matrix matrix(shape);
  const std::vector<std::uint8_t> blocks = random_bytes(matrix.num_blocks() * 16, 3);
  std::vector<std::uint8_t> scales = random_bytes(matrix.num_blocks(), 4);
  for (std::uint8_t& scale : scales) {
    if (scale == 255) scale = 254;  // not a number; never in a checkpoint
  }
  const DeviceArray<std::uint8_t> device_blocks(blocks);
  const DeviceArray<std::uint8_t> device_scales(scales);
  const DeviceArray<std::uint8_t> packed(static_cast<std::size_t>(packed_fp4_bytes(rows, columns)));
  for (std::int64_t row = 0; row < rows; row += piece_rows) {
    launch_pack_fp4(
        {device_blocks.data() + row * columns / 2,
         device_scales.data() + row * columns / 32,
         reinterpret_cast<std::byte*>(packed.data()) + packed_fp4_bytes(row, columns),
         std::min(piece_rows, rows - row),
         columns},
        nullptr
    );
  }
  expect_same(
      matrix.decode_packed(packed.download()),
      matrix.decode_released(blocks, scales),
      std::to_string(rows) + " x " + std::to_string(columns) + " by " + std::to_string(piece_rows)
  );
}

TEST(PackWeightsTest, EveryFp4CodeAndScaleLandsWhereItsLaneLooks) {
  GOSSAMER_SKIP_WITHOUT_CUDA();
  for (const Place& shape : kFp4Shapes) {
    for (const std::int64_t piece_rows : {16, 6400}) expect_fp4_round_trip(shape, piece_rows);
  }
}

TEST(PackWeightsTest, TheWordsFormulasDecodeAllSixteenCodesInEveryPlace) {
  for (std::uint32_t code = 0; code < 16; ++code) {
    for (std::size_t q = 0; q < 4; ++q) {
      for (std::size_t half = 0; half < 2; ++half) {
        // The bits of all other codes must not get into this one's.
        for (std::uint32_t word : {0U, ~0U}) {
          for (std::size_t i = 0; i < 4; ++i) {
            const std::uint32_t bit = 1U << static_cast<unsigned>(kFp4Bits[q][half][i]);
            word = (code >> i & 1U) != 0 ? word | bit : word & ~bit;
          }
          const std::uint32_t pattern = registers_of(word)[q] >> (16 * half) & 0xFFFFU;
          EXPECT_EQ(value_of(pattern), static_cast<double>(tensor::kMxfp4Values[code])) << q;
        }
      }
    }
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda
