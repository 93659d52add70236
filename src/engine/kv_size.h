#pragma once

#include <cstdint>

#include "base/result.h"
#include "engine/engine_options.h"
#include "kernels/backend.h"
#include "model/config.h"
#include "model/kv_cache.h"

namespace gossamer::engine {

/// The blocks of an engine's KV cache: options.kv_blocks; or what options.kv_cache_bytes pays for;
/// or room for max_sequences sequences of context_length. kOutOfMemory when that is too little for
/// any sequence, with what would do.
Result<model::KvCacheSize> choose_kv_size(
    const model::Config& config, const EngineOptions& options, kernels::DType kv_dtype
);

/// Bytes of KV cache that an engine with these options may come to use.
std::uint64_t kv_cache_bytes(
    const model::Config& config, const EngineOptions& options, kernels::DType kv_dtype
);

}  // namespace gossamer::engine
