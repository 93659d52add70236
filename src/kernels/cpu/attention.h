#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/backend.h"

namespace gossamer::kernels::cpu {

using tensor::BFloat16;

/// The CPU's KV cells, one of a (block, head): keys are transposed, [head_dim][kBlockSize], so that
/// one load fetches the same dimension of 16 keys; values are [kBlockSize][head_dim].
struct KvCells {
  tensor::MutableView keys;  // F16 or F32 [num_blocks, num_kv_heads, kBlockSize, head_dim]
  tensor::MutableView values;
  std::size_t num_kv_heads;
  std::size_t head_dim;

  /// Elements before a cell.
  std::size_t cell(BlockId block, std::size_t head) const {
    return (static_cast<std::size_t>(block) * num_kv_heads + head) * kBlockSize * head_dim;
  }
};

/// Writes one token's keys and values, [num_kv_heads, head_dim] each, to a slot. To halves they are
/// rounded, and what is beyond a half's range becomes its largest value.
void store_kv(const KvCells& cells, std::int64_t slot, const float* k, const float* v);

/// The query heads of one KV head, for a few consecutive tokens of one sequence.
struct AttentionTile {
  const float* q;            // first token's first query head of the group
  float* out;                // the same place in the output
  std::size_t token_stride;  // floats between tokens, num_heads * head_dim
  std::size_t num_tokens;    // at most kAttentionTileTokens
  std::size_t group_size;    // query heads a KV head
  const BFloat16* sinks;     // [group_size]
  std::size_t kv_head;
  std::int64_t position;  // of the first token
  std::int64_t window;    // keys seen, own included; 0: all
  std::span<const BlockId> block_table;
};

/// Tokens that share the reading of a key block.
inline constexpr std::size_t kAttentionTileTokens = 4;

/// Floats of scratch that attend needs for one thread.
std::size_t attention_scratch_floats(std::size_t group_size);

/// Online softmax over the blocks in view, 16 keys at a time, the sink first. What one query gets
/// does not depend on the tile it is in, to the last bit.
void attend(const KvCells& cells, const AttentionTile& tile, float* scratch);

}  // namespace gossamer::kernels::cpu
