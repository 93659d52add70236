#include "kernels/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

// Compiled once for each instruction set: foreach_target.h includes this file again and again.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cc"
#include <hwy/foreach_target.h>
#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
#include "kernels/cpu/partial-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace gossamer::kernels::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, kBlockSize>;
using V = hn::Vec<D>;
using D16 = hn::Rebind<hwy::float16_t, D>;
using DU16 = hn::Rebind<std::uint16_t, D>;
using tensor::Float16;

constexpr std::size_t kLanes = HWY_MIN(HWY_LANES(float), std::size_t{kBlockSize});
constexpr std::size_t kBlock = kBlockSize;
constexpr std::size_t kBlockVectors = kBlock / kLanes;
constexpr std::size_t kRowTile = kLanes >= 16 ? 8 : 4;
/// Elements of a cache line.
template <class T>
constexpr std::size_t kLineElements = 64 / sizeof(T);

/// One query head of one token, in the midst of its softmax.
struct Row {
  float largest;      // running maximum of the scores
  float denominator;  // running sum of exp(score - largest), the sink's included
};

/// Query heads of one token that lie side by side.
struct Heads {
  const float* q;  // [heads, head_dim]
  float* out;      // [heads, head_dim]
  Row* rows;       // [heads]
};

/// The keys and values of a block. Its memory is nowhere near the next block's, so that no hardware
/// foresees it: a block's loops bring the next one's lines by the way.
template <class T>
struct Cell {
  const T* keys = nullptr;    // [head_dim][kBlock]
  const T* values = nullptr;  // [kBlock][head_dim]
};

// What a cache holds, as floats.

HWY_INLINE V load(const float* from) {
  return hn::LoadU(D(), from);
}

HWY_INLINE V load_some(const float* from, std::size_t count) {
  return load_first(D(), from, count);
}

HWY_INLINE V load(const Float16* from) {
  return hn::PromoteTo(D(), hn::BitCast(D16(), hn::LoadU(DU16(), &from->bits)));
}

HWY_INLINE V load_some(const Float16* from, std::size_t count) {
  return hn::PromoteTo(D(), hn::BitCast(D16(), load_first(DU16(), &from->bits, count)));
}

HWY_INLINE void store_some(V v, float* to, std::size_t count) {
  store_first(v, D(), to, count);
}

HWY_INLINE void store_some(V v, Float16* to, std::size_t count) {
  const V most = hn::Set(D(), Float16::kLargest);
  const auto halves = hn::DemoteTo(D16(), hn::Clamp(v, hn::Neg(most), most));
  store_first(hn::BitCast(DU16(), halves), DU16(), &to->bits, count);
}

/// Brings the line at an offset; nothing when there is no next block.
template <class T>
HWY_INLINE void bring(const T* next, std::size_t offset) {
  if (next != nullptr) hwy::Prefetch(next + offset);
}

/// scores[r][key] = scale * dot(q[r], key) for R rows against the 16 keys of a cell.
template <std::size_t R, class T>
HWY_INLINE void score_rows(
    const float* const* q,
    const T* keys,
    const T* next_keys,
    std::size_t head_dim,
    float scale,
    float* scores
) {
  const D d;
  V sums[R][kBlockVectors];
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t i = 0; i < kBlockVectors; ++i) sums[r][i] = hn::Zero(d);
  }
  for (std::size_t dim = 0; dim < head_dim; ++dim) {
    if (dim * kBlock % kLineElements<T> == 0) bring(next_keys, dim * kBlock);
    for (std::size_t i = 0; i < kBlockVectors; ++i) {
      const V key = load(keys + dim * kBlock + i * kLanes);
      for (std::size_t r = 0; r < R; ++r) {
        sums[r][i] = hn::MulAdd(hn::Set(d, q[r][dim]), key, sums[r][i]);
      }
    }
  }
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t i = 0; i < kBlockVectors; ++i) {
      hn::StoreU(hn::Mul(sums[r][i], hn::Set(d, scale)), d, scores + r * kBlock + i * kLanes);
    }
  }
}

/// The keys of a block that one query sees, as offsets in the block; empty when first > last.
struct Visible {
  std::int64_t first;
  std::int64_t last;
};

HWY_INLINE Visible
visible_keys(const AttentionTile& tile, std::size_t token, std::int64_t block_start) {
  const std::int64_t position = tile.position + static_cast<std::int64_t>(token);
  const std::int64_t oldest = tile.window > 0 ? position - tile.window + 1 : 0;
  return {
      std::max<std::int64_t>(oldest - block_start, 0),
      std::min<std::int64_t>(position - block_start, kBlockSize - 1)};
}

/// Turns a row's 16 scores into probabilities relative to the new maximum, in place; those that are
/// not visible become 0. Returns the factor by which what was summed before must shrink.
HWY_INLINE float soften(float* scores, const Visible& visible, Row& row) {
  const D d;
  V score[kBlockVectors];
  V highest = hn::Set(d, row.largest);
  for (std::size_t i = 0; i < kBlockVectors; ++i) {
    const V index = hn::Iota(d, static_cast<float>(i * kLanes));
    const auto seen = hn::And(
        hn::Ge(index, hn::Set(d, static_cast<float>(visible.first))),
        hn::Le(index, hn::Set(d, static_cast<float>(visible.last)))
    );
    // exp(-inf) is 0.
    const V hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
    score[i] = hn::IfThenElse(seen, hn::LoadU(d, scores + i * kLanes), hidden);
    highest = hn::Max(highest, score[i]);
  }
  const float largest = hn::GetLane(hn::MaxOfLanes(d, highest));
  const float shrink = largest > row.largest ? std::exp(row.largest - largest) : 1.0F;
  V sum = hn::Zero(d);
  for (std::size_t i = 0; i < kBlockVectors; ++i) {
    const V p = hn::Exp(d, hn::Sub(score[i], hn::Set(d, largest)));
    hn::StoreU(p, d, scores + i * kLanes);
    sum = hn::Add(sum, p);
  }
  row.denominator = row.denominator * shrink + hn::GetLane(hn::SumOfLanes(d, sum));
  row.largest = largest;
  return shrink;
}

/// Query heads of one token with their part in the sum: out[r] = out[r] * shrink[r] + sum_j
/// p[r][j] values[j].
template <std::size_t R>
struct Outputs {
  const float* p;  // [R, kBlock]
  float shrink[R];
  float* out[R];  // [head_dim]
};

/// Adds the visible values of a block; never a slot that holds no key of this query.
template <std::size_t R, class T>
HWY_INLINE void accumulate(
    const Outputs<R>& outputs,
    const Visible& visible,
    const T* values,
    const T* next_values,
    std::size_t head_dim
) {
  const D d;
  constexpr std::size_t kUnroll = R == 1 ? 4 : 2;
  std::size_t dim = 0;
  for (; dim + kUnroll * kLanes <= head_dim; dim += kUnroll * kLanes) {
    const T* next = dim % kLineElements<T> == 0 ? next_values : nullptr;
    V sums[R][kUnroll];
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t i = 0; i < kUnroll; ++i) {
        const V before = hn::LoadU(d, outputs.out[r] + dim + i * kLanes);
        sums[r][i] = hn::Mul(before, hn::Set(d, outputs.shrink[r]));
      }
    }
    for (auto j = visible.first; j <= visible.last; ++j) {
      V value[kUnroll];
      const std::size_t offset = static_cast<std::size_t>(j) * head_dim + dim;
      bring(next, offset);
      for (std::size_t i = 0; i < kUnroll; ++i) value[i] = load(values + offset + i * kLanes);
      for (std::size_t r = 0; r < R; ++r) {
        const V weight = hn::Set(d, outputs.p[r * kBlock + static_cast<std::size_t>(j)]);
        for (std::size_t i = 0; i < kUnroll; ++i) {
          sums[r][i] = hn::MulAdd(weight, value[i], sums[r][i]);
        }
      }
    }
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t i = 0; i < kUnroll; ++i) {
        hn::StoreU(sums[r][i], d, outputs.out[r] + dim + i * kLanes);
      }
    }
  }
  for (; dim < head_dim; dim += kLanes) {
    const std::size_t left = std::min(kLanes, head_dim - dim);
    for (std::size_t r = 0; r < R; ++r) {
      const V before = load_first(d, outputs.out[r] + dim, left);
      V sum = hn::Mul(before, hn::Set(d, outputs.shrink[r]));
      for (auto j = visible.first; j <= visible.last; ++j) {
        const auto key = static_cast<std::size_t>(j);
        const V value = load_some(values + key * head_dim + dim, left);
        sum = hn::MulAdd(hn::Set(d, outputs.p[r * kBlock + key]), value, sum);
      }
      store_first(sum, d, outputs.out[r] + dim, left);
    }
  }
}

/// R query heads of one token, side by side, against one block of keys and values.
template <std::size_t R, class T>
HWY_INLINE void attend_heads(
    const Cell<T>& cell,
    const Cell<T>& next,
    const Visible& visible,
    const Heads& heads,
    std::size_t head_dim,
    float* scores
) {
  const float* q[R];
  for (std::size_t r = 0; r < R; ++r) q[r] = heads.q + r * head_dim;
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  score_rows<R>(q, cell.keys, next.keys, head_dim, scale, scores);
  Outputs<R> outputs{.p = scores};
  for (std::size_t r = 0; r < R; ++r) {
    outputs.shrink[r] = soften(scores + r * kBlock, visible, heads.rows[r]);
    outputs.out[r] = heads.out + r * head_dim;
  }
  accumulate(outputs, visible, cell.values, next.values, head_dim);
}

template <class T>
Cell<T> find_cell(const KvCells& cells, const AttentionTile& tile, std::int64_t block_index) {
  const BlockId block = tile.block_table[static_cast<std::size_t>(block_index)];
  GOSSAMER_CHECK(block != kNoBlock);
  const std::size_t cell = cells.cell(block, tile.kv_head);
  return {cells.keys.as<T>() + cell, cells.values.as<T>() + cell};
}

/// All rows of the tile against one block of keys and values. `next` is the block that follows, if
/// any.
template <class T>
void attend_block(
    const AttentionTile& tile,
    std::int64_t block_index,
    const Cell<T>& cell,
    Cell<T> next,
    std::size_t head_dim,
    Row* rows,
    float* scores
) {
  for (std::size_t token = 0; token < tile.num_tokens; ++token) {
    const Visible visible = visible_keys(tile, token, block_index * kBlockSize);
    if (visible.first > visible.last) continue;
    const auto heads_from = [&](std::size_t head) {
      const std::size_t offset = token * tile.token_stride + head * head_dim;
      return Heads{tile.q + offset, tile.out + offset, rows + token * tile.group_size + head};
    };
    // The first heads bring the next block for all.
    std::size_t head = 0;
    for (; head + kRowTile <= tile.group_size; head += kRowTile, next = {}) {
      attend_heads<kRowTile>(cell, next, visible, heads_from(head), head_dim, scores);
    }
    for (; head < tile.group_size; ++head, next = {}) {
      attend_heads<1>(cell, next, visible, heads_from(head), head_dim, scores);
    }
  }
}

template <class T>
void attend_cells(const KvCells& cells, const AttentionTile& tile, float* scratch) {
  float* scores = scratch;
  Row* rows = reinterpret_cast<Row*>(scratch + kRowTile * kBlock);
  const std::size_t head_dim = cells.head_dim;
  for (std::size_t token = 0; token < tile.num_tokens; ++token) {
    std::fill_n(tile.out + token * tile.token_stride, tile.group_size * head_dim, 0.0F);
    for (std::size_t head = 0; head < tile.group_size; ++head) {
      rows[token * tile.group_size + head] = {tile.sinks[head].to_float(), 1.0F};
    }
  }
  const std::int64_t last_position = tile.position + static_cast<std::int64_t>(tile.num_tokens) - 1;
  const std::int64_t oldest =
      tile.window > 0 ? std::max<std::int64_t>(tile.position - tile.window + 1, 0) : 0;
  const std::int64_t last = last_position / kBlockSize;
  Cell<T> next = find_cell<T>(cells, tile, oldest / kBlockSize);
  for (std::int64_t block = oldest / kBlockSize; block <= last; ++block) {
    const Cell<T> cell = next;
    next = block < last ? find_cell<T>(cells, tile, block + 1) : Cell<T>{};
    attend_block(tile, block, cell, next, head_dim, rows, scores);
  }
  for (std::size_t token = 0; token < tile.num_tokens; ++token) {
    for (std::size_t head = 0; head < tile.group_size; ++head) {
      const float factor = 1.0F / rows[token * tile.group_size + head].denominator;
      float* out = tile.out + token * tile.token_stride + head * head_dim;
      for (std::size_t dim = 0; dim < head_dim; ++dim) out[dim] *= factor;
    }
  }
}

void attend(const KvCells& cells, const AttentionTile& tile, float* scratch) {
  if (cells.keys.dtype() == tensor::DType::kF16) {
    attend_cells<Float16>(cells, tile, scratch);
  } else {
    attend_cells<float>(cells, tile, scratch);
  }
}

template <class T>
void store_cells(const KvCells& cells, std::int64_t slot, const float* k, const float* v) {
  const auto block = static_cast<BlockId>(slot / kBlockSize);
  const auto offset = static_cast<std::size_t>(slot % kBlockSize);
  for (std::size_t head = 0; head < cells.num_kv_heads; ++head) {
    const std::size_t cell = cells.cell(block, head);
    T* const keys = cells.keys.as<T>() + cell + offset;
    T* const values = cells.values.as<T>() + cell + offset * cells.head_dim;
    for (std::size_t dim = 0; dim < cells.head_dim; dim += kLanes) {
      const std::size_t count = std::min(kLanes, cells.head_dim - dim);
      const std::size_t from = head * cells.head_dim + dim;
      T key[kLanes];
      store_some(load_some(k + from, count), key, count);
      for (std::size_t i = 0; i < count; ++i) keys[(dim + i) * kBlock] = key[i];
      store_some(load_some(v + from, count), values + dim, count);
    }
  }
}

void store_kv(const KvCells& cells, std::int64_t slot, const float* k, const float* v) {
  if (cells.keys.dtype() == tensor::DType::kF16) {
    store_cells<Float16>(cells, slot, k, v);
  } else {
    store_cells<float>(cells, slot, k, v);
  }
}

std::size_t attention_scratch_floats(std::size_t group_size) {
  return kRowTile * kBlock + kAttentionTileTokens * group_size * sizeof(Row) / sizeof(float);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace gossamer::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gossamer::kernels::cpu {
HWY_EXPORT(attend);
HWY_EXPORT(attention_scratch_floats);
HWY_EXPORT(store_kv);

void store_kv(const KvCells& cells, std::int64_t slot, const float* k, const float* v) {
  HWY_DYNAMIC_DISPATCH(store_kv)(cells, slot, k, v);
}

std::size_t attention_scratch_floats(std::size_t group_size) {
  return HWY_DYNAMIC_DISPATCH(attention_scratch_floats)(group_size);
}

void attend(const KvCells& cells, const AttentionTile& tile, float* scratch) {
  HWY_DYNAMIC_DISPATCH(attend)(cells, tile, scratch);
}

}  // namespace gossamer::kernels::cpu
#endif  // HWY_ONCE
