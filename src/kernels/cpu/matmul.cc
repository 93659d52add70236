#include "kernels/cpu/matmul.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "tensor/mxfp4.h"

// Compiled once for each instruction set: foreach_target.h includes this file again and again.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/matmul.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/cpu/partial-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace gossamer::kernels::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

constexpr std::size_t kLanes = HWY_LANES(float);

// A tile's accumulators, weights and activations fit the registers: 32 with AVX-512, else 16.
constexpr std::size_t kTokenTile = 4;
constexpr std::size_t kRowTile = kLanes >= 16 ? 6 : 2;
// Activations of this many tokens stay in the second-level cache while weight rows pass by.
constexpr std::size_t kTokenBlock = 32;
// From this many tokens on, packed rows are unpacked once and used for all of them.
constexpr std::size_t kUnpackTokens = 2 * kTokenTile;

HWY_INLINE V bf16_to_float(hn::Vec<hn::Rebind<std::uint16_t, D>> bits) {
  const hn::RebindToUnsigned<D> du;
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
}

/// Reads weight rows stored as bf16.
struct Bf16Source {
  const BFloat16* weight;
  std::size_t columns;

  HWY_INLINE const std::uint16_t* at(std::size_t row, std::size_t column) const {
    return &weight[row * columns + column].bits;
  }
  HWY_INLINE V load(std::size_t row, std::size_t column) const {
    return bf16_to_float(hn::LoadU(hn::Rebind<std::uint16_t, D>(), at(row, column)));
  }
  HWY_INLINE V load_tail(std::size_t row, std::size_t column) const {
    const std::size_t left = columns - column;
    return bf16_to_float(load_first(hn::Rebind<std::uint16_t, D>(), at(row, column), left));
  }
};

/// Reads weight rows unpacked to float.
struct FloatSource {
  const float* weight;
  std::size_t columns;

  HWY_INLINE V load(std::size_t row, std::size_t column) const {
    return hn::LoadU(D(), weight + row * columns + column);
  }
  HWY_INLINE V load_tail(std::size_t row, std::size_t column) const {
    return load_first(D(), weight + row * columns + column, columns - column);
  }
};

/// Where a tile's results go: y[token][row + first_row], with the bias of that row.
struct Sink {
  const BFloat16* bias;
  float* const* y;
  Store store;

  HWY_INLINE void put(V sum, std::size_t row, std::size_t token) const {
    float value = hn::GetLane(hn::SumOfLanes(D(), sum));
    if (bias != nullptr) value += bias[row].to_float();
    float& out = y[token][row];
    out = store == Store::kAdd ? out + value : value;
  }
};

/// R weight rows times T activation rows. source_row counts within the source, row within y.
template <std::size_t R, std::size_t T, class Source>
HWY_INLINE void dot_tile(
    const Source& source,
    std::size_t source_row,
    std::size_t row,
    const float* const* x,
    std::size_t token,
    const Sink& sink
) {
  const D d;
  V sums[R][T];
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t t = 0; t < T; ++t) sums[r][t] = hn::Zero(d);
  }
  const std::size_t columns = source.columns;
  std::size_t column = 0;
  for (; column + kLanes <= columns; column += kLanes) {
    V values[T];
    for (std::size_t t = 0; t < T; ++t) values[t] = hn::LoadU(d, x[token + t] + column);
    for (std::size_t r = 0; r < R; ++r) {
      const V weight = source.load(source_row + r, column);
      for (std::size_t t = 0; t < T; ++t) sums[r][t] = hn::MulAdd(weight, values[t], sums[r][t]);
    }
  }
  if (column < columns) {
    for (std::size_t r = 0; r < R; ++r) {
      const V weight = source.load_tail(source_row + r, column);
      for (std::size_t t = 0; t < T; ++t) {
        const V value = load_first(d, x[token + t] + column, columns - column);
        sums[r][t] = hn::MulAdd(weight, value, sums[r][t]);
      }
    }
  }
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t t = 0; t < T; ++t) sink.put(sums[r][t], row + r, token + t);
  }
}

/// R weight rows times all of a block of activation rows, in tiles of at most kTokenTile.
template <std::size_t R, class Tile>
HWY_INLINE void for_token_tiles(std::size_t begin, std::size_t end, const Tile& tile) {
  std::size_t token = begin;
  for (; token + kTokenTile <= end; token += kTokenTile) tile.template run<R, kTokenTile>(token);
  switch (end - token) {
    case 3:
      tile.template run<R, 3>(token);
      break;
    case 2:
      tile.template run<R, 2>(token);
      break;
    case 1:
      tile.template run<R, 1>(token);
      break;
    default:
      break;
  }
}

template <class Source>
struct DotTile {
  const Source& source;
  std::size_t source_row;
  std::size_t row;
  const float* const* x;
  const Sink& sink;

  template <std::size_t R, std::size_t T>
  HWY_INLINE void run(std::size_t token) const {
    dot_tile<R, T>(source, source_row, row, x, token, sink);
  }
};

void matmul_bf16(const Bf16Matrix& matrix, RowRange range, const Rows& rows, Store store) {
  const Bf16Source source{matrix.weight, matrix.columns};
  const Sink sink{matrix.bias, rows.y, store};
  for (std::size_t block = 0; block < rows.count; block += kTokenBlock) {
    const std::size_t block_end = std::min(rows.count, block + kTokenBlock);
    std::size_t row = range.begin;
    for (; row + kRowTile <= range.end; row += kRowTile) {
      for_token_tiles<kRowTile>(
          block, block_end, DotTile<Bf16Source>{source, row, row, rows.x, sink}
      );
    }
    for (; row < range.end; ++row) {
      for_token_tiles<1>(block, block_end, DotTile<Bf16Source>{source, row, row, rows.x, sink});
    }
  }
}

constexpr std::size_t kBlockValues = tensor::kMxfp4BlockValues;
constexpr std::size_t kBlockBytes = tensor::kMxfp4BlockBytes;
// Vectors of the 16 low (or high) nibbles of a block.
constexpr std::size_t kHalfVectors = 16 / kLanes;

// 2^(byte - 127), also for byte 0, a subnormal.
HWY_INLINE float scale_of(std::uint8_t byte) {
  const std::uint32_t bits = byte == 0 ? 0x00400000U : std::uint32_t{byte} << 23U;
  float scale;
  hwy::CopySameSize(&bits, &scale);
  return scale;
}

/// Unpacks one block into 32 / kLanes vectors in split order: low nibbles first, then high ones.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void unpack_block(
    const std::uint8_t* bytes, std::uint8_t scale, V (&out)[2 * kHalfVectors]
) {
  const float factor = scale_of(scale);
  for (std::size_t k = 0; k < kBlockBytes; ++k) {
    out[k] = hn::Set(D(), tensor::kMxfp4Values[bytes[k] & 15U] * factor);
    out[kBlockBytes + k] = hn::Set(D(), tensor::kMxfp4Values[bytes[k] >> 4U] * factor);
  }
}
#elif HWY_MAX_BYTES >= 64
HWY_INLINE void unpack_block(
    const std::uint8_t* bytes, std::uint8_t scale, V (&out)[2 * kHalfVectors]
) {
  const D d;
  const hn::RebindToSigned<D> di;
  // The whole value table fits one register, scaled once a block.
  const V table = hn::Mul(hn::LoadU(d, tensor::kMxfp4Values.data()), hn::Set(d, scale_of(scale)));
  const auto codes = hn::PromoteTo(di, hn::LoadU(hn::Rebind<std::uint8_t, D>(), bytes));
  const auto low = hn::And(codes, hn::Set(di, 15));
  const auto high = hn::ShiftRight<4>(codes);
  out[0] = hn::TableLookupLanes(table, hn::IndicesFromVec(d, low));
  out[1] = hn::TableLookupLanes(table, hn::IndicesFromVec(d, high));
}
#else
HWY_INLINE void unpack_block(
    const std::uint8_t* bytes, std::uint8_t scale, V (&out)[2 * kHalfVectors]
) {
  const D d;
  const hn::FixedTag<std::uint8_t, 16> d16;
  const hn::FixedTag<std::int8_t, 16> di16;
  // Twice the value of each code, so that all are whole numbers.
  alignas(16) static constexpr std::int8_t kDoubled[16] = {
      0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  alignas(16) std::int8_t doubled[2 * kBlockBytes];
  const auto table = hn::Load(di16, kDoubled);
  const auto codes = hn::LoadU(d16, bytes);
  const auto low = hn::BitCast(di16, hn::And(codes, hn::Set(d16, 15)));
  const auto high = hn::BitCast(di16, hn::ShiftRight<4>(codes));
  hn::Store(hn::TableLookupBytes(table, low), di16, doubled);
  hn::Store(hn::TableLookupBytes(table, high), di16, doubled + kBlockBytes);
  // Halving the scale is exact but for scale bytes 0 and 1, whose weights are below 1e-36.
  const V factor = hn::Set(d, scale_of(scale) * 0.5F);
  const hn::Rebind<std::int8_t, D> di8;
  const hn::RebindToSigned<D> di32;
  for (std::size_t i = 0; i < 2 * kHalfVectors; ++i) {
    const auto whole = hn::PromoteTo(di32, hn::LoadU(di8, doubled + i * kLanes));
    out[i] = hn::Mul(hn::ConvertTo(d, whole), factor);
  }
}
#endif

/// R packed rows times T activation rows.
struct PackedTile {
  const Mxfp4Matrix& matrix;
  std::size_t row;
  const float* const* x;
  const Sink& sink;

  template <std::size_t R, std::size_t T>
  HWY_INLINE void run(std::size_t token) const {
    const D d;
    const std::size_t num_blocks = matrix.columns / kBlockValues;
    V sums[R][T];
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t t = 0; t < T; ++t) sums[r][t] = hn::Zero(d);
    }
    for (std::size_t block = 0; block < num_blocks; ++block) {
      for (std::size_t r = 0; r < R; ++r) {
        const std::size_t index = (row + r) * num_blocks + block;
        V weights[2 * kHalfVectors];
        unpack_block(matrix.blocks + index * kBlockBytes, matrix.scales[index], weights);
        for (std::size_t t = 0; t < T; ++t) {
          const float* values = x[token + t] + block * kBlockValues;
          for (std::size_t i = 0; i < 2 * kHalfVectors; ++i) {
            sums[r][t] = hn::MulAdd(weights[i], hn::LoadU(d, values + i * kLanes), sums[r][t]);
          }
        }
      }
    }
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t t = 0; t < T; ++t) sink.put(sums[r][t], row + r, token + t);
    }
  }
};

void unpack_row(const Mxfp4Matrix& matrix, std::size_t row, float* out) {
  const std::size_t num_blocks = matrix.columns / kBlockValues;
  for (std::size_t block = 0; block < num_blocks; ++block) {
    const std::size_t index = row * num_blocks + block;
    V values[2 * kHalfVectors];
    unpack_block(matrix.blocks + index * kBlockBytes, matrix.scales[index], values);
    for (std::size_t i = 0; i < 2 * kHalfVectors; ++i) {
      hn::StoreU(values[i], D(), out + block * kBlockValues + i * kLanes);
    }
  }
}

template <std::size_t R>
void unpacked_rows(
    const Mxfp4Matrix& matrix, std::size_t row, const Rows& rows, const Sink& sink, float* scratch
) {
  for (std::size_t r = 0; r < R; ++r) unpack_row(matrix, row + r, scratch + r * matrix.columns);
  const FloatSource source{scratch, matrix.columns};
  for_token_tiles<R>(0, rows.count, DotTile<FloatSource>{source, 0, row, rows.x, sink});
}

void matmul_mxfp4(
    const Mxfp4Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
) {
  // Unpacking is the cost of a packed tile, so fewer rows at once than for bf16 keep the pipes
  // full.
  constexpr std::size_t kPackedRowTile = 4;
  const Sink sink{matrix.bias, rows.y, store};
  std::size_t row = range.begin;
  if (rows.count >= kUnpackTokens) {
    for (; row + kRowTile <= range.end; row += kRowTile) {
      unpacked_rows<kRowTile>(matrix, row, rows, sink, scratch);
    }
    for (; row < range.end; ++row) unpacked_rows<1>(matrix, row, rows, sink, scratch);
    return;
  }
  for (; row + kPackedRowTile <= range.end; row += kPackedRowTile) {
    for_token_tiles<kPackedRowTile>(0, rows.count, PackedTile{matrix, row, rows.x, sink});
  }
  for (; row < range.end; ++row) {
    for_token_tiles<1>(0, rows.count, PackedTile{matrix, row, rows.x, sink});
  }
}

std::size_t row_tile() {
  return kRowTile;
}

void split_blocks(const float* x, std::size_t size, float* out) {
  const D d;
  // Never more than 16 lanes, so that a vector pair stays within one block.
  for (std::size_t block = 0; block < size; block += kBlockValues) {
    for (std::size_t i = 0; i < 16; i += kLanes) {
      V even;
      V odd;
      hn::LoadInterleaved2(d, x + block + 2 * i, even, odd);
      hn::StoreU(even, d, out + block + i);
      hn::StoreU(odd, d, out + block + 16 + i);
    }
  }
}

const char* isa_name() {
  switch (HWY_TARGET) {
    case HWY_AVX3:
      return "AVX-512";
    case HWY_AVX2:
      return "AVX2";
    case HWY_NEON:
      return "NEON";
    case HWY_SCALAR:
    case HWY_EMU128:
      return "scalar";
    default:
      return hwy::TargetName(HWY_TARGET);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace gossamer::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gossamer::kernels::cpu {
HWY_EXPORT(matmul_bf16);
HWY_EXPORT(matmul_mxfp4);
HWY_EXPORT(row_tile);
HWY_EXPORT(split_blocks);
HWY_EXPORT(isa_name);

void matmul_bf16(const Bf16Matrix& matrix, RowRange range, const Rows& rows, Store store) {
  HWY_DYNAMIC_DISPATCH(matmul_bf16)(matrix, range, rows, store);
}

void matmul_mxfp4(
    const Mxfp4Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
) {
  HWY_DYNAMIC_DISPATCH(matmul_mxfp4)(matrix, range, rows, store, scratch);
}

std::size_t mxfp4_scratch_floats(std::size_t columns) {
  return HWY_DYNAMIC_DISPATCH(row_tile)() * columns;
}

void split_blocks(const float* x, std::size_t size, float* out) {
  GOSSAMER_CHECK(size % tensor::kMxfp4BlockValues == 0);
  HWY_DYNAMIC_DISPATCH(split_blocks)(x, size, out);
}

const char* isa_name() {
  return HWY_DYNAMIC_DISPATCH(isa_name)();
}

}  // namespace gossamer::kernels::cpu
#endif  // HWY_ONCE
