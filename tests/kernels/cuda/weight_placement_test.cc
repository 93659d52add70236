#include "kernels/cuda/weight_placement.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "kernels/cuda/packed_weights.h"
#include "tests/kernels/cuda/small_weights.h"

namespace gossamer::kernels::cuda {
namespace {

/// Bytes on the device that a piece fills.
std::int64_t filled_bytes(const WeightPiece& piece) {
  switch (piece.layout) {
    case PieceLayout::kPackedBf16:
      return packed_bf16_bytes(piece.num_rows, piece.num_columns);
    case PieceLayout::kPackedFp4:
      return packed_fp4_bytes(piece.num_rows, piece.num_columns);
    case PieceLayout::kAsReleased:
      break;
  }
  return static_cast<std::int64_t>(piece.bytes.size());
}

class WeightPlacementTest : public testing::Test {
 protected:
  RandomTensors random_{1};
  Weights host_ = small_weights(random_);
  std::vector<std::byte> memory_{placed_bytes(host_)};
};

TEST_F(WeightPlacementTest, PiecesOfAnySizeFillTheSameMemoryOnceEach) {
  for (const std::size_t max_piece_bytes :
       {std::size_t{1}, std::size_t{5000}, std::size_t{1} << 30U}) {
    const WeightPlacement placement = place_weights(host_, memory_.data(), max_piece_bytes);
    std::map<std::int64_t, std::int64_t> stretches;  // begin, end
    std::size_t released = 0;
    for (const WeightPiece& piece : placement.pieces) {
      const std::int64_t begin = piece.target - memory_.data();
      EXPECT_TRUE(stretches.emplace(begin, begin + filled_bytes(piece)).second);
      EXPECT_TRUE(piece.num_rows <= kPackedRowAlign || piece.size_bytes() <= max_piece_bytes);
      released += piece.size_bytes();
    }
    std::int64_t end = 0;
    for (const auto& [begin, stretch_end] : stretches) {
      EXPECT_GE(begin, end);
      EXPECT_LT(begin - end, 256);  // alignment only
      end = stretch_end;
    }
    EXPECT_EQ(static_cast<std::size_t>(end), memory_.size());
    EXPECT_EQ(released, released_bytes(host_));
  }
}

TEST_F(WeightPlacementTest, QueriesKeysAndValuesAreOneMatrix) {
  const WeightPlacement placement = place_weights(host_, memory_.data(), 5000);
  for (const LayerWeights& layer : placement.weights.layers) {
    const std::int64_t hidden = layer.q.weight.shape()[1];
    const std::int64_t q_rows = layer.q.weight.shape()[0];
    const std::int64_t k_rows = layer.k.weight.shape()[0];
    EXPECT_EQ(layer.k.weight.data() - layer.q.weight.data(), packed_bf16_bytes(q_rows, hidden));
    EXPECT_EQ(
        layer.v.weight.data() - layer.q.weight.data(), packed_bf16_bytes(q_rows + k_rows, hidden)
    );
    EXPECT_EQ(layer.k.bias.data() - layer.q.bias.data(), 2 * q_rows);
    EXPECT_EQ(layer.v.bias.data() - layer.q.bias.data(), 2 * (q_rows + k_rows));
  }
}

TEST_F(WeightPlacementTest, ViewsKeepTheirShapes) {
  const WeightPlacement placement = place_weights(host_, memory_.data(), 5000);
  EXPECT_EQ(placement.weights.embedding.shape(), host_.embedding.shape());
  EXPECT_EQ(placement.weights.unembedding.shape(), host_.unembedding.shape());
  ASSERT_EQ(placement.weights.layers.size(), host_.layers.size());
  const ExpertLinear& gate_up = placement.weights.layers[1].gate_up;
  EXPECT_EQ(gate_up.weight.rows(), host_.layers[1].gate_up.weight.rows());
  EXPECT_EQ(gate_up.weight.columns(), host_.layers[1].gate_up.weight.columns());
  EXPECT_EQ(gate_up.bias.shape(), host_.layers[1].gate_up.bias.shape());
}

}  // namespace
}  // namespace gossamer::kernels::cuda
