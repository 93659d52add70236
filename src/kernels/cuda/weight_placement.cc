#include "kernels/cuda/weight_placement.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/cuda/packed_weights.h"

namespace gossamer::kernels::cuda {
namespace {

using tensor::Mxfp4View;
using tensor::View;

// Every tensor begins on a line of the cache, and for wide loads.
constexpr std::size_t kAlignment = 256;

/// Hands out memory from its beginning on, and notes which pieces fill it.
class Placer {
 public:
  Placer(std::byte* memory, std::size_t max_piece_bytes)
      : memory_(memory), max_piece_bytes_(max_piece_bytes) {}

  void align() { size_ = (size_ + kAlignment - 1) / kAlignment * kAlignment; }

  View as_released(View host) {
    if (host.empty()) return host;
    const std::span<const std::byte> bytes(host.data(), host.size_bytes());
    std::byte* target = take(bytes.size());
    for (std::size_t begin = 0; begin < bytes.size(); begin += max_piece_bytes_) {
      const auto piece = bytes.subspan(begin, std::min(max_piece_bytes_, bytes.size() - begin));
      pieces_.push_back(
          {.layout = PieceLayout::kAsReleased, .bytes = piece, .target = target + begin}
      );
    }
    return {target, host.dtype(), host.shape()};
  }

  View packed(View host) {
    if (host.empty()) return host;
    const std::int64_t rows = host.shape()[0];
    const std::int64_t columns = host.shape()[1];
    const std::size_t row_bytes = static_cast<std::size_t>(columns) * size_of(host.dtype());
    std::byte* target = take(static_cast<std::size_t>(packed_bf16_bytes(rows, columns)));
    const std::int64_t step = piece_rows(row_bytes);
    for (std::int64_t row = 0; row < rows; row += step) {
      const std::int64_t count = std::min(step, rows - row);
      pieces_.push_back(
          {.layout = PieceLayout::kPackedBf16,
           .bytes = rows_of(host.data(), row, count, row_bytes),
           .num_rows = count,
           .num_columns = columns,
           .target = target + packed_bf16_bytes(row, columns)}
      );
    }
    return {target, host.dtype(), host.shape()};
  }

  Mxfp4View packed(const Mxfp4View& host) {
    if (host.blocks.empty()) return host;
    const std::int64_t rows = host.rows();
    const std::int64_t columns = host.columns();
    const std::int64_t matrix_bytes = packed_fp4_bytes(rows, columns);
    std::byte* target = take(static_cast<std::size_t>(host.num_matrices() * matrix_bytes));
    for (std::int64_t matrix = 0; matrix < host.num_matrices(); ++matrix) {
      place_matrix(host, matrix, target + matrix * matrix_bytes);
    }
    return {
        {target, host.blocks.dtype(), host.blocks.shape()},
        {target, host.scales.dtype(), host.scales.shape()}};
  }

  std::size_t size_bytes() const { return size_; }
  std::vector<WeightPiece> take_pieces() { return std::move(pieces_); }

 private:
  static std::span<const std::byte> rows_of(
      const std::byte* data, std::int64_t row, std::int64_t count, std::size_t row_bytes
  ) {
    return {
        data + static_cast<std::size_t>(row) * row_bytes,
        static_cast<std::size_t>(count) * row_bytes};
  }

  void place_matrix(const Mxfp4View& host, std::int64_t matrix, std::byte* target) {
    const std::int64_t rows = host.rows();
    const auto row_scales = static_cast<std::size_t>(host.scales.shape()[2]);
    const std::size_t row_blocks = row_scales * tensor::kMxfp4BlockBytes;
    const std::int64_t step = piece_rows(row_blocks + row_scales);
    for (std::int64_t row = 0; row < rows; row += step) {
      const std::int64_t count = std::min(step, rows - row);
      pieces_.push_back(
          {.layout = PieceLayout::kPackedFp4,
           .bytes = rows_of(host.blocks.data(), matrix * rows + row, count, row_blocks),
           .scales = rows_of(host.scales.data(), matrix * rows + row, count, row_scales),
           .num_rows = count,
           .num_columns = host.columns(),
           .target = target + packed_fp4_bytes(row, host.columns())}
      );
    }
  }

  std::byte* take(std::size_t size) { return memory_ + std::exchange(size_, size_ + size); }

  std::int64_t piece_rows(std::size_t row_bytes) const {
    const auto fitting = static_cast<std::int64_t>(max_piece_bytes_ / row_bytes);
    return std::max<std::int64_t>(fitting / kPackedRowAlign, 1) * kPackedRowAlign;
  }

  std::byte* memory_;
  std::size_t max_piece_bytes_;
  std::size_t size_ = 0;
  std::vector<WeightPiece> pieces_;
};

View place_released(Placer& placer, View host) {
  placer.align();
  return placer.as_released(host);
}

View place_packed(Placer& placer, View host) {
  placer.align();
  return placer.packed(host);
}

Linear place_linear(Placer& placer, const Linear& host) {
  return {place_packed(placer, host.weight), place_released(placer, host.bias)};
}

ExpertLinear place_experts(Placer& placer, const ExpertLinear& host) {
  placer.align();
  const Mxfp4View weight = placer.packed(host.weight);
  return {weight, place_released(placer, host.bias)};
}

LayerWeights place_layer(Placer& placer, const LayerWeights& host) {
  LayerWeights layer;
  layer.attn_norm = place_released(placer, host.attn_norm);
  placer.align();
  layer.q.weight = placer.packed(host.q.weight);
  layer.k.weight = placer.packed(host.k.weight);
  layer.v.weight = placer.packed(host.v.weight);
  placer.align();
  layer.q.bias = placer.as_released(host.q.bias);
  layer.k.bias = placer.as_released(host.k.bias);
  layer.v.bias = placer.as_released(host.v.bias);
  layer.sinks = place_released(placer, host.sinks);
  layer.attn_out = place_linear(placer, host.attn_out);
  layer.mlp_norm = place_released(placer, host.mlp_norm);
  layer.router = place_linear(placer, host.router);
  layer.gate_up = place_experts(placer, host.gate_up);
  layer.down = place_experts(placer, host.down);
  return layer;
}

Weights place_all(Placer& placer, const Weights& host) {
  Weights weights;
  weights.embedding = place_released(placer, host.embedding);
  for (const LayerWeights& layer : host.layers) {
    weights.layers.push_back(place_layer(placer, layer));
  }
  weights.norm = place_released(placer, host.norm);
  weights.unembedding = place_packed(placer, host.unembedding);
  return weights;
}

}  // namespace

std::size_t placed_bytes(const Weights& host) {
  std::byte nowhere{};  // every offset from it is right, and none is followed
  Placer placer(&nowhere, std::numeric_limits<std::int64_t>::max());
  place_all(placer, host);
  return placer.size_bytes();
}

WeightPlacement place_weights(const Weights& host, std::byte* memory, std::size_t max_piece_bytes) {
  for (const LayerWeights& layer : host.layers) {
    GOSSAMER_CHECK(layer.q.weight.shape()[0] % kPackedRowAlign == 0);
    GOSSAMER_CHECK(layer.k.weight.shape()[0] % kPackedRowAlign == 0);
  }
  Placer placer(memory, max_piece_bytes);
  WeightPlacement placement;
  placement.weights = place_all(placer, host);
  placement.pieces = placer.take_pieces();
  return placement;
}

}  // namespace gossamer::kernels::cuda
