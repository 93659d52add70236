#include "kernels/cpu/matmul.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "kernels/cpu/panel_matmul.h"
#include "tensor/mxfp4.h"

// Compiled once for each instruction set: foreach_target.h includes this file again and again.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/matmul.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/cpu/product-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace gossamer::kernels::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// A tile's accumulators, weights and activations fit the registers: 32 with AVX-512, else 16.
constexpr std::size_t kTokenTile = 4;
constexpr std::size_t kRowTile = kLanes >= 16 ? 6 : 2;
/// Where a tile's results go: y[token][row], with the bias of that row.
struct Sink {
  const BFloat16* bias;
  float* const* y;
  Store store;

  HWY_INLINE void put(V sum, std::size_t row, std::size_t token) const {
    float value = sum_of_lanes(sum);
    if (bias != nullptr) value += bias[row].to_float();
    float& out = y[token][row];
    out = store == Store::kAdd ? out + value : value;
  }
};

/// R weight rows times all activation rows, in tiles of at most kTokenTile.
template <std::size_t R, class Tile>
HWY_INLINE void for_token_tiles(std::size_t count, const Tile& tile) {
  std::size_t token = 0;
  for (; token + kTokenTile <= count; token += kTokenTile) tile.template run<R, kTokenTile>(token);
  switch (count - token) {
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

/// R weight rows times T activation rows.
struct DotTile {
  const Bf16Matrix& matrix;
  std::size_t row;
  const float* const* x;
  const Sink& sink;

  template <std::size_t R, std::size_t T>
  HWY_INLINE void run(std::size_t token) const {
    const D d;
    V sums[R][T];
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t t = 0; t < T; ++t) sums[r][t] = hn::Zero(d);
    }
    const std::size_t columns = matrix.columns;
    const BFloat16* const weights = matrix.weight + row * columns;
    std::size_t column = 0;
    for (; column + kLanes <= columns; column += kLanes) {
      V values[T];
      for (std::size_t t = 0; t < T; ++t) values[t] = hn::LoadU(d, x[token + t] + column);
      for (std::size_t r = 0; r < R; ++r) {
        const V weight = load_bf16(weights + r * columns + column);
        for (std::size_t t = 0; t < T; ++t) sums[r][t] = hn::MulAdd(weight, values[t], sums[r][t]);
      }
    }
    if (column < columns) {
      const std::size_t left = columns - column;
      for (std::size_t r = 0; r < R; ++r) {
        const V weight = load_bf16_first(weights + r * columns + column, left);
        for (std::size_t t = 0; t < T; ++t) {
          const V value = load_first(d, x[token + t] + column, left);
          sums[r][t] = hn::MulAdd(weight, value, sums[r][t]);
        }
      }
    }
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t t = 0; t < T; ++t) sink.put(sums[r][t], row + r, token + t);
    }
  }
};

void few_bf16(const Bf16Matrix& matrix, RowRange range, const Rows& rows, Store store) {
  const Sink sink{matrix.bias, rows.y, store};
  std::size_t row = range.begin;
  for (; row + kRowTile <= range.end; row += kRowTile) {
    for_token_tiles<kRowTile>(rows.count, DotTile{matrix, row, rows.x, sink});
  }
  for (; row < range.end; ++row) {
    for_token_tiles<1>(rows.count, DotTile{matrix, row, rows.x, sink});
  }
}

// Vectors of a block: its low nibbles, then its high ones.
constexpr std::size_t kBlockVectors = kBlockValues / kLanes;

/// Unpacks one block in split order: low nibbles first, then high ones.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void unpack_block(
    const std::uint8_t* bytes, std::uint8_t scale, V (&out)[kBlockVectors]
) {
  const float factor = scale_of(scale);
  for (std::size_t k = 0; k < kBlockBytes; ++k) {
    out[k] = hn::Set(D(), tensor::kMxfp4Values[bytes[k] & 15U] * factor);
    out[kBlockBytes + k] = hn::Set(D(), tensor::kMxfp4Values[bytes[k] >> 4U] * factor);
  }
}
#elif HWY_MAX_BYTES >= 64
HWY_INLINE void unpack_block(
    const std::uint8_t* bytes, std::uint8_t scale, V (&out)[kBlockVectors]
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
    const std::uint8_t* bytes, std::uint8_t scale, V (&out)[kBlockVectors]
) {
  const D d;
  const hn::FixedTag<std::uint8_t, 16> d16;
  const hn::FixedTag<std::int8_t, 16> di16;
  alignas(16) std::int8_t doubled[2 * kBlockBytes];
  const auto table = hn::Load(di16, kDoubledCodes);
  const auto codes = hn::LoadU(d16, bytes);
  const auto low = hn::BitCast(di16, hn::And(codes, hn::Set(d16, 15)));
  const auto high = hn::BitCast(di16, hn::ShiftRight<4>(codes));
  hn::Store(hn::TableLookupBytes(table, low), di16, doubled);
  hn::Store(hn::TableLookupBytes(table, high), di16, doubled + kBlockBytes);
  const V factor = hn::Set(d, scale_of(scale) * 0.5F);
  const hn::Rebind<std::int8_t, D> di8;
  const hn::RebindToSigned<D> di32;
  for (std::size_t i = 0; i < kBlockVectors; ++i) {
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
        V weights[kBlockVectors];
        unpack_block(matrix.blocks + index * kBlockBytes, matrix.scales[index], weights);
        for (std::size_t t = 0; t < T; ++t) {
          const float* values = x[token + t] + block * kBlockValues;
          for (std::size_t i = 0; i < kBlockVectors; ++i) {
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

void few_mxfp4(const Mxfp4Matrix& matrix, RowRange range, const Rows& rows, Store store) {
  // Unpacking is the cost of a packed tile, so fewer rows at once than for bf16 keep the pipes
  // full.
  constexpr std::size_t kPackedRowTile = 4;
  const Sink sink{matrix.bias, rows.y, store};
  std::size_t row = range.begin;
  for (; row + kPackedRowTile <= range.end; row += kPackedRowTile) {
    for_token_tiles<kPackedRowTile>(rows.count, PackedTile{matrix, row, rows.x, sink});
  }
  for (; row < range.end; ++row) {
    for_token_tiles<1>(rows.count, PackedTile{matrix, row, rows.x, sink});
  }
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
namespace {

// From so many activation rows on, panels pay.
constexpr std::size_t kBf16PanelRows = 8;
constexpr std::size_t kMxfp4PanelRows = 5;

}  // namespace

HWY_EXPORT(few_bf16);
HWY_EXPORT(few_mxfp4);
HWY_EXPORT(split_blocks);
HWY_EXPORT(isa_name);

void matmul_bf16(
    const Bf16Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
) {
  if (rows.count >= kBf16PanelRows) {
    panel_matmul_bf16(matrix, range, rows, store, scratch);
  } else {
    HWY_DYNAMIC_DISPATCH(few_bf16)(matrix, range, rows, store);
  }
}

void matmul_mxfp4(
    const Mxfp4Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
) {
  if (rows.count >= kMxfp4PanelRows) {
    panel_matmul_mxfp4(matrix, range, rows, store, scratch);
  } else {
    HWY_DYNAMIC_DISPATCH(few_mxfp4)(matrix, range, rows, store);
  }
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
