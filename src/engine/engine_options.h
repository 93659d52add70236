#pragma once

#include <cstdint>
#include <optional>

#include "model/kv_cache.h"

namespace gossamer::engine {

struct EngineOptions {
  int context_length = 0;      ///< longest sequence, prompt and output; at most the model's
  int max_sequences = 1;       ///< sequences in one step
  int max_batch_tokens = 512;  ///< tokens in one step: longer prompts take several
  std::uint64_t seed = 0;      ///< for requests that bring none

  /// Memory for keys and values. Sequences share it: when it is too little for all that run, some
  /// wait. Not set: enough for max_sequences of context_length.
  std::optional<std::uint64_t> kv_cache_bytes;

  /// The blocks themselves, instead of kv_cache_bytes.
  std::optional<model::KvCacheSize> kv_blocks;

  /// On hosts: the KV cache's memory is taken at the start, by a thread of its own, instead of as
  /// the cache fills: what a server takes does not grow.
  bool commits_kv_cache = false;

  /// The prefix cache: positions of earlier prompts, with room for so many, at which later prompts
  /// can resume. 0: no prefix cache.
  int num_snapshots = 0;
};

}  // namespace gossamer::engine
