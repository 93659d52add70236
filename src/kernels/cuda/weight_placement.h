#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/weights.h"

namespace gossamer::kernels::cuda {

/// What the bytes of a piece become on the device.
enum class PieceLayout {
  kAsReleased,
  kPackedBf16,
  kPackedFp4,
};

/// Bytes of a weight that travel together: all of it, or whole rows of one of its matrices.
struct WeightPiece {
  PieceLayout layout;
  std::span<const std::byte> bytes;   // on the host: as released; BF16 rows; or MXFP4 blocks
  std::span<const std::byte> scales;  // on the host, of MXFP4 blocks; else empty
  std::int64_t num_rows = 0;          // of what is packed
  std::int64_t num_columns = 0;
  std::byte* target = nullptr;  // where it goes on the device

  std::size_t size_bytes() const { return bytes.size() + scales.size(); }
};

/// Where a checkpoint's weights lie on the device, and how to bring them there. Embedding, norms,
/// biases and sinks are as released, matrices as packed_weights.h says. The rows of a layer's q, k
/// and v are one packed matrix, and their biases one vector.
struct WeightPlacement {
  Weights
      weights;  // views keep their shapes; blocks and scales of experts both begin at the records
  std::vector<WeightPiece> pieces;
};

/// The memory of the device that the weights take.
std::size_t placed_bytes(const Weights& host);

/// Places weights in placed_bytes() of the device's memory. What is empty stays empty. No piece has
/// more than max_piece_bytes, or where that is not enough, 16 rows. The heads of q and k must have
/// a multiple of 16 rows.
WeightPlacement place_weights(const Weights& host, std::byte* memory, std::size_t max_piece_bytes);

}  // namespace gossamer::kernels::cuda
