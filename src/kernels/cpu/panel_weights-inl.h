// How weight rows become panels: widened to float, columns outermost, a lane a row. Included once
// for each instruction set, after highway.h.

// clang-format off
#if defined(GOSSAMER_KERNELS_CPU_PANEL_WEIGHTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef GOSSAMER_KERNELS_CPU_PANEL_WEIGHTS_INL_H
#undef GOSSAMER_KERNELS_CPU_PANEL_WEIGHTS_INL_H
#else
#define GOSSAMER_KERNELS_CPU_PANEL_WEIGHTS_INL_H
#endif
// clang-format on

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace gossamer::kernels::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kPanelVectors = 2;
constexpr std::size_t kPanelRows = kPanelVectors * kLanes;

// Columns of a panel that stay in the first-level cache while the activation rows pass by.
constexpr std::size_t kPanelColumns = 256;

constexpr std::size_t kLineBytes = 64;

/// Cache lines that will be read. A processor drops prefetches that come many at once, so that
/// these are brought a few at a time, in the course of other work.
class ComingLines {
 public:
  void add(const std::uint8_t* from, std::size_t size) {
    for (std::size_t offset = 0; offset < size; offset += kLineBytes) {
      lines_[size_++] = from + offset;
    }
  }

  /// Says how often `bring` will be called.
  void divide(std::size_t num_calls) { lines_per_call_ = (size_ + num_calls - 1) / num_calls; }

  /// Brings some to the cache.
  HWY_INLINE void bring() {
    const std::size_t end = std::min(size_, next_ + lines_per_call_);
    for (; next_ < end; ++next_) hwy::Prefetch(lines_[next_]);
  }

 private:
  // As many as bf16 takes; packed rows take fewer.
  std::array<const std::uint8_t*, kPanelRows * kPanelColumns * sizeof(BFloat16) / kLineBytes>
      lines_;
  std::size_t size_ = 0;
  std::size_t next_ = 0;
  std::size_t lines_per_call_ = 0;
};

using DU = hn::RebindToUnsigned<D>;
using VU = hn::Vec<DU>;

// Weights are read 16 bytes of a row at a time: a block, or eight values of bf16.
constexpr std::size_t kPieceBytes = 16;

/// Word i of the 16 bytes at `offset` of each of kLanes rows, a lane a row.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void load_words(const std::uint8_t* const* rows, std::size_t offset, VU (&words)[4]) {
  for (std::size_t i = 0; i < 4; ++i) {
    std::uint32_t word;
    hwy::CopyBytes<sizeof(word)>(rows[0] + offset + i * sizeof(word), &word);
    words[i] = hn::Set(DU(), word);
  }
}
#else
/// The 16 bytes of rows 0, 4, 8, …, one after another.
template <class DV>
HWY_INLINE hn::Vec<DV> load_pieces(DV d, const std::uint8_t* const* rows, std::size_t offset) {
  if constexpr (hn::MaxLanes(DV()) > 4) {
    const hn::Half<DV> half;
    const auto high = load_pieces(half, rows + hn::MaxLanes(d) / 2, offset);
    return hn::Combine(d, high, load_pieces(half, rows, offset));
  } else {
    return hn::BitCast(d, hn::LoadU(hn::Repartition<std::uint8_t, DV>(), rows[0] + offset));
  }
}

HWY_INLINE void load_words(const std::uint8_t* const* rows, std::size_t offset, VU (&words)[4]) {
  const DU d;
  const hn::RepartitionToWide<DU> d64;
  const VU a = load_pieces(d, rows, offset);
  const VU b = load_pieces(d, rows + 1, offset);
  const VU c = load_pieces(d, rows + 2, offset);
  const VU e = load_pieces(d, rows + 3, offset);
  const auto low_ab = hn::BitCast(d64, hn::InterleaveLower(d, a, b));
  const auto low_ce = hn::BitCast(d64, hn::InterleaveLower(d, c, e));
  const auto high_ab = hn::BitCast(d64, hn::InterleaveUpper(d, a, b));
  const auto high_ce = hn::BitCast(d64, hn::InterleaveUpper(d, c, e));
  words[0] = hn::BitCast(d, hn::InterleaveLower(d64, low_ab, low_ce));
  words[1] = hn::BitCast(d, hn::InterleaveUpper(d64, low_ab, low_ce));
  words[2] = hn::BitCast(d, hn::InterleaveLower(d64, high_ab, high_ce));
  words[3] = hn::BitCast(d, hn::InterleaveUpper(d64, high_ab, high_ce));
}
#endif

/// Weight rows stored as bf16.
struct Bf16Panels {
  const BFloat16* weight;
  std::size_t columns;

  static constexpr std::size_t kPieceColumns = kPieceBytes / sizeof(BFloat16);

  /// Adds the lines of a row's columns [begin, end).
  void add_lines(std::size_t row, std::size_t begin, std::size_t end, ComingLines& lines) const {
    const auto* from = reinterpret_cast<const std::uint8_t*>(weight + row * columns + begin);
    lines.add(from, (end - begin) * sizeof(BFloat16));
  }

  /// Columns [begin, end) of kLanes rows, kPanelRows apart.
  HWY_INLINE void pack(
      const std::size_t (&rows)[kLanes], std::size_t begin, std::size_t end, float* to
  ) const {
    const std::uint8_t* from[kLanes];
    for (std::size_t r = 0; r < kLanes; ++r) {
      from[r] = reinterpret_cast<const std::uint8_t*>(weight + rows[r] * columns + begin);
    }
    const std::size_t whole = (end - begin) / kPieceColumns;
    for (std::size_t i = 0; i < whole; ++i, to += kPieceColumns * kPanelRows) {
      widen(from, i * kPieceBytes, to);
    }
    const std::size_t left = (end - begin) % kPieceColumns;
    if (left == 0) return;
    std::uint8_t last[kLanes][kPieceBytes] = {};
    for (std::size_t r = 0; r < kLanes; ++r) {
      std::copy_n(from[r] + whole * kPieceBytes, left * sizeof(BFloat16), last[r]);
      from[r] = last[r];
    }
    widen(from, 0, to);
  }

 private:
  static HWY_INLINE void widen(
      const std::uint8_t* const* rows, std::size_t offset, float* HWY_RESTRICT to
  ) {
    const D d;
    VU words[4];
    load_words(rows, offset, words);
    for (std::size_t i = 0; i < 4; ++i, to += 2 * kPanelRows) {
      const VU odd = hn::And(words[i], hn::Set(DU(), 0xFFFF0000U));
      hn::Store(hn::BitCast(d, hn::ShiftLeft<16>(words[i])), d, to);
      hn::Store(hn::BitCast(d, odd), d, to + kPanelRows);
    }
  }
};

/// Packed weight rows.
struct Mxfp4Panels {
  const std::uint8_t* blocks;
  const std::uint8_t* scales;
  std::size_t columns;

  static constexpr std::size_t kPieceColumns = kBlockValues;

  /// As Bf16Panels::add_lines.
  void add_lines(std::size_t row, std::size_t begin, std::size_t end, ComingLines& lines) const {
    const std::size_t first = (row * columns + begin) / kBlockValues;
    const std::size_t count = (end - begin) / kBlockValues;
    lines.add(blocks + first * kBlockBytes, count * kBlockBytes);
    lines.add(scales + first, count);
  }

  /// As Bf16Panels::pack; columns are positions in split order.
  HWY_INLINE void pack(
      const std::size_t (&rows)[kLanes], std::size_t begin, std::size_t end, float* to
  ) const {
    const std::uint8_t* from[kLanes];
    const std::uint8_t* from_scales[kLanes];
    for (std::size_t r = 0; r < kLanes; ++r) {
      const std::size_t first = (rows[r] * columns + begin) / kBlockValues;
      from[r] = blocks + first * kBlockBytes;
      from_scales[r] = scales + first;
    }
    const std::size_t num_blocks = (end - begin) / kBlockValues;
    for (std::size_t block = 0; block < num_blocks; block += kScalesAtOnce) {
      const std::size_t count = std::min(kScalesAtOnce, num_blocks - block);
      const VU bytes = load_scales(from_scales, block, count);
      for (std::size_t i = 0; i < count; ++i) {
        VU words[4];
        load_words(from, (block + i) * kBlockBytes, words);
        unpack(words, nth_scale(bytes, i), to + (block + i) * kBlockValues * kPanelRows);
      }
    }
  }

 private:
  static constexpr std::size_t kScalesAtOnce = sizeof(std::uint32_t);

  /// Scale bytes of `count` blocks from `block` on, a word a row. Once for several blocks: a vector
  /// waits until what it is made of has left the store buffer.
  static HWY_INLINE VU
  load_scales(const std::uint8_t* const* rows, std::size_t block, std::size_t count) {
    HWY_ALIGN std::uint32_t words[kLanes] = {};
    for (std::size_t r = 0; r < kLanes; ++r) {
      if (count == kScalesAtOnce) {
        hwy::CopyBytes<kScalesAtOnce>(rows[r] + block, words + r);
      } else {
        std::copy_n(rows[r] + block, count, reinterpret_cast<std::uint8_t*>(words + r));
      }
    }
    return hn::Load(DU(), words);
  }

  /// As scale_of, for byte i of each word.
  static HWY_INLINE V nth_scale(VU words, std::size_t i) {
    const DU d;
    const VU byte = hn::And(hn::ShiftRightSame(words, static_cast<int>(8 * i)), hn::Set(d, 0xFFU));
    const VU bits =
        hn::IfThenElse(hn::Eq(byte, hn::Zero(d)), hn::Set(d, 0x00400000U), hn::ShiftLeft<23>(byte));
    return hn::BitCast(D(), bits);
  }

#if HWY_TARGET == HWY_SCALAR
  static HWY_INLINE void unpack(const VU (&words)[4], V scale, float* HWY_RESTRICT to) {
    for (std::size_t k = 0; k < kBlockBytes; ++k) {
      const std::uint32_t byte = (hn::GetLane(words[k / 4]) >> (8 * (k % 4))) & 0xFFU;
      const auto store = [&](std::size_t position, std::uint32_t code) {
        to[position * kPanelRows] = tensor::kMxfp4Values[code] * hn::GetLane(scale);
      };
      store(k, byte & 15U);
      store(kBlockBytes + k, byte >> 4U);
    }
  }
#else
  using D8 = hn::Repartition<std::uint8_t, D>;

  static HWY_INLINE void unpack(const VU (&words)[4], V scale, float* HWY_RESTRICT to) {
    const D8 d8;
    const auto table = hn::LoadDup128(d8, kRaisedCodes);
    const V factor = hn::Mul(scale, hn::Set(D(), 0.5F));
    for (std::size_t i = 0; i < 4; ++i, to += 4 * kPanelRows) {
      const VU mask = hn::Set(DU(), 0x0F0F0F0FU);
      const auto low = hn::BitCast(d8, hn::And(words[i], mask));
      const auto high = hn::BitCast(d8, hn::And(hn::ShiftRight<4>(words[i]), mask));
      store_bytes(hn::TableLookupBytes(table, low), factor, to);
      store_bytes(hn::TableLookupBytes(table, high), factor, to + kBlockBytes * kPanelRows);
    }
  }

  // Doubled values, raised so that none is negative: a byte becomes a word by one operation, and
  // what was added goes with the multiplication by the scale; exactly, but for scale bytes from 252
  // on, whose weights are beyond 1e37.
  static constexpr int kRaise = 16;
  alignas(16) static constexpr std::uint8_t kRaisedCodes[16] = {
      16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};

  /// The four bytes of each word, lowered and times a factor.
  static HWY_INLINE void store_bytes(hn::Vec<D8> bytes, V factor, float* to) {
    const DU d;
    const VU words = hn::BitCast(d, bytes);
    const V lower = hn::Mul(factor, hn::Set(D(), -static_cast<float>(kRaise)));
    const auto store = [&](VU raised, std::size_t i) {
      const V whole = hn::ConvertTo(D(), hn::BitCast(hn::RebindToSigned<D>(), raised));
      hn::Store(hn::MulAdd(whole, factor, lower), D(), to + i * kPanelRows);
    };
    store(hn::And(words, hn::Set(d, 0xFFU)), 0);
    store(nth_byte<1>(bytes), 1);
    store(nth_byte<2>(bytes), 2);
    store(hn::ShiftRight<24>(words), 3);
  }

  /// Byte N of each word.
  template <std::uint8_t N>
  static HWY_INLINE VU nth_byte(hn::Vec<D8> bytes) {
    constexpr std::uint8_t kNone = 0x80;
    alignas(16) static constexpr std::uint8_t kPlaces[16] = {
        N,
        kNone,
        kNone,
        kNone,
        N + 4,
        kNone,
        kNone,
        kNone,
        N + 8,
        kNone,
        kNone,
        kNone,
        N + 12,
        kNone,
        kNone,
        kNone};
    return hn::BitCast(DU(), hn::TableLookupBytesOr0(bytes, hn::LoadDup128(D8(), kPlaces)));
  }
#endif
};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace gossamer::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif  // GOSSAMER_KERNELS_CPU_PANEL_WEIGHTS_INL_H
