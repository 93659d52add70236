#pragma once

#include <cstdint>
#include <span>

#include "kernels/step.h"

namespace gossamer::kernels {

/// The elements of an I32 view in host memory.
inline std::span<const std::int32_t> host_indices(View view) {
  if (view.empty()) return {};
  return {view.as<std::int32_t>(), static_cast<std::size_t>(view.shape().num_elements())};
}

/// The block of each kBlockSize positions of a sequence, from a batch in host memory.
inline std::span<const BlockId> host_block_table(const AttentionBatch& batch, int sequence) {
  const auto starts = host_indices(batch.block_table_starts);
  const auto begin = static_cast<std::size_t>(starts[static_cast<std::size_t>(sequence)]);
  const auto end = static_cast<std::size_t>(starts[static_cast<std::size_t>(sequence) + 1]);
  return host_indices(batch.block_table).subspan(begin, end - begin);
}

}  // namespace gossamer::kernels
