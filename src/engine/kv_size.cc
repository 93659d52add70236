#include "engine/kv_size.h"

#include <algorithm>
#include <limits>

#include "engine/block_tables.h"

namespace gossamer::engine {
namespace {

// Slots are counted in 32 bits here and there.
constexpr std::uint64_t kMostBlocks = std::numeric_limits<kernels::BlockId>::max() / 64;

/// What all running sequences can hold at once in the sliding group.
int running_sliding_blocks(const model::Config& config, const EngineOptions& options) {
  // A window begins and a chunk ends inside a block; the chunks of a step share its tokens.
  const int each = blocks_for(config.sliding_window) + 2;
  return std::min(
      options.max_sequences * each + blocks_for(options.max_batch_tokens),
      options.max_sequences * blocks_for(options.context_length)
  );
}

/// The smallest cache that a sequence can advance in.
model::KvCacheSize smallest(const model::Config& config, const EngineOptions& options) {
  const int window = blocks_for(config.sliding_window) + 1;
  return {1, std::min(window, blocks_for(options.context_length))};
}

std::uint64_t bytes_of(
    const model::Config& config, model::KvCacheSize blocks, kernels::DType dtype
) {
  using model::KvCache;
  using model::LayerType;
  return static_cast<std::uint64_t>(blocks.full_blocks) *
             KvCache::block_bytes(config, LayerType::kFull, dtype) +
         static_cast<std::uint64_t>(blocks.sliding_blocks) *
             KvCache::block_bytes(config, LayerType::kSliding, dtype);
}

/// Full blocks that the budget leaves beside the sliding ones.
Result<model::KvCacheSize> within_budget(
    const model::Config& config,
    const EngineOptions& options,
    kernels::DType dtype,
    model::KvCacheSize wanted
) {
  const std::uint64_t sliding_bytes = bytes_of(config, {0, wanted.sliding_blocks}, dtype);
  const std::uint64_t block_bytes = bytes_of(config, {1, 0}, dtype);
  const std::uint64_t budget = *options.kv_cache_bytes;
  if (budget < sliding_bytes + block_bytes) {
    return make_error(
        ErrorCode::kOutOfMemory,
        "a KV cache of {} bytes was asked for; {} sequences and {} snapshots of a window of {} "
        "positions take {}, and some more for the rest; raise it, or run fewer sequences",
        budget,
        options.max_sequences,
        options.num_snapshots,
        config.sliding_window,
        sliding_bytes + block_bytes
    );
  }
  if (block_bytes == 0) return wanted;  // no layer has full attention: these blocks are free
  const std::uint64_t full = (budget - sliding_bytes) / block_bytes;
  // Without a prefix cache, more than all sequences can hold is of no use.
  const auto most =
      options.num_snapshots == 0 ? static_cast<std::uint64_t>(wanted.full_blocks) : kMostBlocks;
  wanted.full_blocks = static_cast<int>(std::min(full, most));
  return wanted;
}

}  // namespace

Result<model::KvCacheSize> choose_kv_size(
    const model::Config& config, const EngineOptions& options, kernels::DType kv_dtype
) {
  model::KvCacheSize blocks{
      options.max_sequences * blocks_for(options.context_length),
      running_sliding_blocks(config, options) +
          options.num_snapshots * blocks_for(config.sliding_window)};
  if (options.kv_blocks) {
    blocks = *options.kv_blocks;
  } else if (options.kv_cache_bytes) {
    GOSSAMER_ASSIGN_OR_RETURN(blocks, within_budget(config, options, kv_dtype, blocks));
  }
  const model::KvCacheSize least = smallest(config, options);
  if (blocks.full_blocks >= least.full_blocks && blocks.sliding_blocks >= least.sliding_blocks) {
    return blocks;
  }
  return make_error(
      ErrorCode::kOutOfMemory,
      "a KV cache of {} full and {} sliding blocks was asked for; a sequence needs at least {} and "
      "{}",
      blocks.full_blocks,
      blocks.sliding_blocks,
      least.full_blocks,
      least.sliding_blocks
  );
}

std::uint64_t kv_cache_bytes(
    const model::Config& config, const EngineOptions& options, kernels::DType kv_dtype
) {
  const auto blocks = choose_kv_size(config, options, kv_dtype);
  return blocks.ok() ? bytes_of(config, *blocks, kv_dtype) : 0;
}

}  // namespace gossamer::engine
