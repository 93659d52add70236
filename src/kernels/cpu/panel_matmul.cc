// Products with many activation rows. A panel of weight rows is widened once, columns outermost,
// and then serves every activation row: a lane is a weight row, so that no sum crosses lanes.
//
// matmul.cc gives each output kLanes chains of columns, c % kLanes, and sums the chains halves
// first. Here a chain is one lane's accumulator and the chains are computed one after another, in
// the same order of columns, and summed in the same order: the bits are the same.
#include "kernels/cpu/panel_matmul.h"

#include <algorithm>
#include <cstdint>

#include "base/check.h"

// Compiled once for each instruction set: foreach_target.h includes this file again and again.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/panel_matmul.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "kernels/cpu/panel_weights-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace gossamer::kernels::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

namespace {

// With two vectors of weight rows, as many accumulators as 16 registers allow.
constexpr std::size_t kTokenTile = 6;
// Activation rows whose unfinished chains stay in the second-level cache.
constexpr std::size_t kTokenBlock = 8 * kTokenTile;
constexpr std::size_t kTileFloats = kLanes * kTokenTile * kPanelRows;
constexpr std::size_t kAlignFloats = 16;

static_assert(kPanelColumns % kBlockValues == 0 && kPanelColumns % kLanes == 0);

/// Columns [begin, end) of at most kPanelRows weight rows.
struct Panel {
  RowRange rows;
  std::size_t begin;
  std::size_t end;
  bool is_last;          // of these rows
  const float* weights;  // [end - begin, kPanelRows]
};

/// Fills a panel's weights. Rows past the last one repeat it: nobody asks for their sums.
template <class Source>
void pack(const Source& source, const Panel& panel, float* weights) {
  for (std::size_t i = 0; i < kPanelVectors; ++i) {
    std::size_t rows[kLanes];
    for (std::size_t r = 0; r < kLanes; ++r) {
      rows[r] = std::min(panel.rows.begin + i * kLanes + r, panel.rows.end - 1);
    }
    source.pack(rows, panel.begin, panel.end, weights + i * kLanes);
  }
}

/// Adds a panel's columns to the chains of T activation rows. sums is [kLanes][T][kPanelRows]; the
/// first panel of a row begins them.
template <std::size_t T>
void add_panel(const Panel& panel, const float* const* x, ComingLines& coming, float* sums) {
  const D d;
  const float* values[T];
  for (std::size_t t = 0; t < T; ++t) values[t] = x[t] + panel.begin;
  const std::size_t columns = panel.end - panel.begin;
  for (std::size_t chain = 0; chain < kLanes; ++chain, sums += T * kPanelRows) {
    coming.bring();
    V sum[T][kPanelVectors];
    for (std::size_t t = 0; t < T; ++t) {
      for (std::size_t i = 0; i < kPanelVectors; ++i) {
        float* const from = sums + t * kPanelRows + i * kLanes;
        sum[t][i] = panel.begin == 0 ? hn::Zero(d) : hn::Load(d, from);
      }
    }
    for (std::size_t column = chain; column < columns; column += kLanes) {
      V weights[kPanelVectors];
      for (std::size_t i = 0; i < kPanelVectors; ++i) {
        weights[i] = hn::Load(d, panel.weights + column * kPanelRows + i * kLanes);
      }
      for (std::size_t t = 0; t < T; ++t) {
        const V value = hn::Set(d, values[t][column]);
        for (std::size_t i = 0; i < kPanelVectors; ++i) {
          sum[t][i] = hn::MulAdd(weights[i], value, sum[t][i]);
        }
      }
    }
    for (std::size_t t = 0; t < T; ++t) {
      for (std::size_t i = 0; i < kPanelVectors; ++i) {
        hn::Store(sum[t][i], d, sums + t * kPanelRows + i * kLanes);
      }
    }
  }
}

/// Where results go.
struct PanelSink {
  const BFloat16* bias;
  Store store;

  /// y[0, count) for the weight rows from `row` on.
  HWY_INLINE void put(V value, std::size_t row, std::size_t count, float* y) const {
    const D d;
    const bool whole = count >= kLanes;
    if (bias != nullptr) {
      const V add = whole ? load_bf16(bias + row) : load_bf16_first(bias + row, count);
      value = hn::Add(value, add);
    }
    if (store == Store::kAdd) {
      value = hn::Add(whole ? hn::LoadU(d, y) : load_first(d, y, count), value);
    }
    if (whole) {
      hn::StoreU(value, d, y);
    } else {
      store_first(value, d, y, count);
    }
  }
};

/// Sums the chains, in sum_of_lanes' order, and puts out T activation rows' results.
template <std::size_t T>
void finish_tile(RowRange weight_rows, const PanelSink& sink, float* const* y, const float* sums) {
  const D d;
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t i = 0; i < kPanelVectors; ++i) {
      const std::size_t row = weight_rows.begin + i * kLanes;
      if (row >= weight_rows.end) break;
      V chains[kLanes];
      for (std::size_t chain = 0; chain < kLanes; ++chain) {
        chains[chain] = hn::Load(d, sums + (chain * T + t) * kPanelRows + i * kLanes);
      }
      for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
        for (std::size_t chain = 0; chain < half; ++chain) {
          chains[chain] = hn::Add(chains[chain], chains[chain + half]);
        }
      }
      sink.put(chains[0], row, weight_rows.end - row, y[t] + row);
    }
  }
}

/// One panel times T activation rows, which are finished at the last panel.
template <std::size_t T>
void run_tile(
    const Panel& panel, const Rows& tile, ComingLines& coming, const PanelSink& sink, float* sums
) {
  add_panel<T>(panel, tile.x, coming, sums);
  if (panel.is_last) finish_tile<T>(panel.rows, sink, tile.y, sums);
}

/// `size`, not 0, cut into the fewest parts of at most `limit`, as even as can be: part i begins
/// here.
HWY_INLINE std::size_t part_begin(std::size_t size, std::size_t limit, std::size_t i) {
  const std::size_t parts = 1 + (size - 1) / limit;
  return size / parts * i + std::min(i, size % parts);
}

constexpr void (*kRunTile[kTokenTile]
)(const Panel&, const Rows&, ComingLines&, const PanelSink&, float*) = {
    run_tile<1>, run_tile<2>, run_tile<3>, run_tile<4>, run_tile<5>, run_tile<6>};

/// The panel at column `begin` of some weight rows. They are too short for the hardware to foresee
/// them.
template <class Source>
ComingLines lines_of_panel(const Source& source, RowRange rows, std::size_t begin) {
  const std::size_t end = std::min(source.columns, begin + kPanelColumns);
  ComingLines lines;
  for (std::size_t row = rows.begin; row < rows.end; ++row)
    source.add_lines(row, begin, end, lines);
  return lines;
}

/// At most kPanelRows weight rows times at most kTokenBlock activation rows, which bring the next
/// panel meanwhile: `next_rows` come after the last columns.
template <class Source>
void multiply_panels(
    const Source& source,
    RowRange weight_rows,
    RowRange next_rows,
    const Rows& rows,
    const PanelSink& sink,
    float* scratch
) {
  float* const weights = scratch;
  float* const sums = scratch + kPanelRows * kPanelColumns;
  const std::size_t columns = source.columns;
  // Chains that one panel finishes need no memory of their own.
  const std::size_t stride = columns > kPanelColumns ? kTileFloats : 0;
  for (std::size_t begin = 0; begin < columns; begin += kPanelColumns) {
    const std::size_t end = std::min(columns, begin + kPanelColumns);
    const Panel panel{weight_rows, begin, end, end == columns, weights};
    pack(source, panel, weights);
    ComingLines coming = panel.is_last ? lines_of_panel(source, next_rows, 0)
                                       : lines_of_panel(source, weight_rows, end);
    coming.divide((rows.count + kTokenTile - 1) / kTokenTile * kLanes);
    std::size_t tile = 0;
    for (std::size_t token = 0; token < rows.count; ++tile) {
      const std::size_t next = part_begin(rows.count, kTokenTile, tile + 1);
      const Rows part{rows.x + token, rows.y + token, next - token};
      kRunTile[part.count - 1](panel, part, coming, sink, sums + tile * stride);
      token = next;
    }
  }
}

template <class Source>
void multiply(
    const Source& source, RowRange range, const Rows& rows, const PanelSink& sink, float* scratch
) {
  const auto address = reinterpret_cast<std::uintptr_t>(scratch);
  constexpr std::uintptr_t kAlign = kAlignFloats * sizeof(float);
  float* const aligned = scratch + (kAlign - address % kAlign) % kAlign / sizeof(float);
  std::size_t block = 0;
  for (std::size_t token = 0; token < rows.count; ++block) {
    const std::size_t next = part_begin(rows.count, kTokenBlock, block + 1);
    const Rows part{rows.x + token, rows.y + token, next - token};
    for (std::size_t row = range.begin; row < range.end; row += kPanelRows) {
      const RowRange weight_rows{row, std::min(range.end, row + kPanelRows)};
      // Past the range too: what lies behind it is most likely this thread's next task.
      const RowRange next_rows{weight_rows.end, weight_rows.end + kPanelRows};
      multiply_panels(source, weight_rows, next_rows, part, sink, aligned);
    }
    token = next;
  }
}

}  // namespace

void panel_matmul_bf16(
    const Bf16Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
) {
  multiply(
      Bf16Panels{matrix.weight, matrix.columns}, range, rows, PanelSink{matrix.bias, store}, scratch
  );
}

void panel_matmul_mxfp4(
    const Mxfp4Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
) {
  const Mxfp4Panels source{matrix.blocks, matrix.scales, matrix.columns};
  multiply(source, range, rows, PanelSink{matrix.bias, store}, scratch);
}

std::size_t panel_scratch_floats() {
  return kAlignFloats + kPanelRows * kPanelColumns + kTokenBlock / kTokenTile * kTileFloats;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace gossamer::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gossamer::kernels::cpu {
HWY_EXPORT(panel_matmul_bf16);
HWY_EXPORT(panel_matmul_mxfp4);
HWY_EXPORT(panel_scratch_floats);

void panel_matmul_bf16(
    const Bf16Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
) {
  HWY_DYNAMIC_DISPATCH(panel_matmul_bf16)(matrix, range, rows, store, scratch);
}

void panel_matmul_mxfp4(
    const Mxfp4Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
) {
  HWY_DYNAMIC_DISPATCH(panel_matmul_mxfp4)(matrix, range, rows, store, scratch);
}

std::size_t panel_scratch_floats() {
  return HWY_DYNAMIC_DISPATCH(panel_scratch_floats)();
}

}  // namespace gossamer::kernels::cpu
#endif  // HWY_ONCE
