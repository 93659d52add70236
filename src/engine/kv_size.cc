#include "engine/kv_size.h"

#include <algorithm>
#include <limits>

#include "base/terminal.h"
#include "engine/block_tables.h"

namespace gossamer::engine {
namespace {

// Slots are counted in 32 bits here and there.
constexpr std::uint64_t kMostBlocks = std::numeric_limits<kernels::BlockId>::max() / 64;
// What most prompts and answers stay below, together.
constexpr int kUsualLength = 4096;

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

/// Room for every sequence to be as long as the context, and for the snapshots.
model::KvCacheSize largest(const model::Config& config, const EngineOptions& options) {
  return {
      options.max_sequences * blocks_for(options.context_length),
      running_sliding_blocks(config, options) +
          options.num_snapshots * blocks_for(config.sliding_window)};
}

/// Full blocks that the budget leaves beside the sliding ones.
Result<model::KvCacheSize> within_budget(
    const model::Config& config,
    const EngineOptions& options,
    kernels::DType dtype,
    std::uint64_t budget
) {
  model::KvCacheSize blocks = largest(config, options);
  const std::uint64_t sliding_bytes = bytes_of(config, {0, blocks.sliding_blocks}, dtype);
  const std::uint64_t block_bytes = bytes_of(config, {1, 0}, dtype);
  if (budget < sliding_bytes + block_bytes) {
    return make_error(
        ErrorCode::kOutOfMemory,
        "the KV cache has {} bytes; {} sequences and {} snapshots of a window of {} positions take "
        "{}, and some more for the rest; give it more, or run fewer sequences",
        budget,
        options.max_sequences,
        options.num_snapshots,
        config.sliding_window,
        sliding_bytes + block_bytes
    );
  }
  if (block_bytes == 0) return blocks;  // no layer has full attention: these blocks are free
  const std::uint64_t full = (budget - sliding_bytes) / block_bytes;
  // Without a prefix cache, more than all sequences can hold is of no use.
  const auto most =
      options.num_snapshots == 0 ? static_cast<std::uint64_t>(blocks.full_blocks) : kMostBlocks;
  blocks.full_blocks = static_cast<int>(std::min(full, most));
  return blocks;
}

/// What the options ask for, whatever memory there is.
Result<model::KvCacheSize> asked_for(
    const model::Config& config, const EngineOptions& options, kernels::DType dtype
) {
  if (options.kv_blocks) return *options.kv_blocks;
  if (options.kv_cache_bytes) return within_budget(config, options, dtype, *options.kv_cache_bytes);
  return largest(config, options);
}

}  // namespace

std::uint64_t bytes_of(
    const model::Config& config, model::KvCacheSize blocks, kernels::DType kv_dtype
) {
  using model::KvCache;
  using model::LayerType;
  return static_cast<std::uint64_t>(blocks.full_blocks) *
             KvCache::block_bytes(config, LayerType::kFull, kv_dtype) +
         static_cast<std::uint64_t>(blocks.sliding_blocks) *
             KvCache::block_bytes(config, LayerType::kSliding, kv_dtype);
}

std::uint64_t kv_cache_bytes(
    const model::Config& config, const EngineOptions& options, kernels::DType kv_dtype
) {
  const auto blocks = asked_for(config, options, kv_dtype);
  return blocks.ok() ? bytes_of(config, *blocks, kv_dtype) : 0;
}

std::uint64_t usual_kv_cache_bytes(
    const model::Config& config, const EngineOptions& options, kernels::DType kv_dtype
) {
  EngineOptions usual = options;
  usual.kv_blocks.reset();
  usual.kv_cache_bytes.reset();
  const int share = (options.context_length + options.max_sequences - 1) / options.max_sequences;
  usual.context_length = std::min(options.context_length, std::max(kUsualLength, share));
  return kv_cache_bytes(config, usual, kv_dtype);
}

Result<model::KvCacheSize> choose_kv_size(
    const model::Config& config,
    const EngineOptions& options,
    kernels::DType kv_dtype,
    std::optional<std::uint64_t> free_bytes
) {
  GOSSAMER_ASSIGN_OR_RETURN(auto blocks, asked_for(config, options, kv_dtype));
  const std::uint64_t bytes = bytes_of(config, blocks, kv_dtype);
  if (free_bytes && bytes > *free_bytes) {
    if (options.kv_blocks || options.kv_cache_bytes) {
      return make_error(
          ErrorCode::kOutOfMemory,
          "a KV cache of {} was asked for, and {} of memory are free for it",
          format_bytes(bytes),
          format_bytes(*free_bytes)
      );
    }
    GOSSAMER_ASSIGN_OR_RETURN(blocks, within_budget(config, options, kv_dtype, *free_bytes));
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

}  // namespace gossamer::engine
