#pragma once

#include <cstdint>

#include "model/config.h"

namespace gossamer::checkpoint {

/// Parameters and bytes of one part of a model. A 4-bit weight is one parameter; its share of a
/// scale is bytes only.
struct PartSize {
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
};

/// The sizes of a model, from its numbers alone.
struct ModelSummary {
  PartSize embedding;
  PartSize attention;  ///< with its norms and sinks
  PartSize router;
  PartSize experts;      ///< with the norms before them
  PartSize unembedding;  ///< with the final norm

  PartSize total;

  /// The parameters that one token is multiplied with: all but the input embedding, which is looked
  /// up, and the experts that are not chosen.
  std::uint64_t active_parameters = 0;

  /// What a token adds to the KV cache in bf16 while all layers hold it, and what of it stays once
  /// it is out of the sliding window.
  std::uint64_t kv_bytes_per_token = 0;
  std::uint64_t kv_bytes_per_token_beyond_window = 0;
};

/// Adds up a (valid) model.
ModelSummary summarize(const model::Config& config);

}  // namespace gossamer::checkpoint
