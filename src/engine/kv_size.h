#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "engine/engine_options.h"
#include "kernels/backend.h"
#include "model/config.h"
#include "model/kv_cache.h"

namespace gossamer::engine {

/// The blocks of an engine's KV cache: options.kv_blocks; or what options.kv_cache_bytes pays for;
/// or room for max_sequences sequences of context_length, cut to free_bytes where memory is that
/// small. kOutOfMemory, with what would do, when that is too little for any sequence, and when more
/// than free_bytes was asked for.
Result<model::KvCacheSize> choose_kv_size(
    const model::Config& config,
    const EngineOptions& options,
    kernels::DType kv_dtype,
    std::optional<std::uint64_t> free_bytes = std::nullopt
);

/// Bytes of so many blocks.
std::uint64_t bytes_of(
    const model::Config& config, model::KvCacheSize blocks, kernels::DType kv_dtype
);

/// Bytes of KV cache that an engine with these options may come to use, if memory were endless.
std::uint64_t kv_cache_bytes(
    const model::Config& config, const EngineOptions& options, kernels::DType kv_dtype
);

/// Bytes of KV cache that serve options' sequences as most come: 4,096 tokens each, and any one as
/// long as the context. A prefix cache could fill any memory; a host has other uses for it.
std::uint64_t usual_kv_cache_bytes(
    const model::Config& config, const EngineOptions& options, kernels::DType kv_dtype
);

}  // namespace gossamer::engine
