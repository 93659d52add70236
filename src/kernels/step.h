#pragma once

#include <cstdint>
#include <span>

#include "base/token_id.h"
#include "tensor/view.h"

namespace gossamer::kernels {

using tensor::DType;
using tensor::MutableView;
using tensor::View;

/// Index of a block in a paged KV cache group. kNoBlock stands where a sliding window has passed on
/// and the block was given back.
using BlockId = std::int32_t;
inline constexpr BlockId kNoBlock = -1;

/// Positions that share a block of the KV cache.
inline constexpr int kBlockSize = 16;

/// One layer's keys and values, [num_blocks, num_key_value_heads, kBlockSize, head_dim]. The order
/// inside a (block, head) cell is the backend's own.
struct KvLayer {
  MutableView keys;
  MutableView values;
};

/// Where one group of layers (full attention, or sliding window) keeps the tokens of a step. The
/// block table of sequence s is block_table[block_table_starts[s], block_table_starts[s + 1]).
struct GroupInputs {
  std::span<const std::int32_t> slot_mapping;        // [num_tokens], block * kBlockSize + offset
  std::span<const BlockId> block_table;              // all sequences' tables, back to back
  std::span<const std::int32_t> block_table_starts;  // [num_sequences + 1]
};

/// A ragged step as the host knows it. The new tokens of sequence s are rows
/// [cu_seqlens_q[s], cu_seqlens_q[s + 1]), the last positions of its context.
struct StepInputs {
  std::span<const TokenId> tokens;             // [num_tokens]
  std::span<const std::int32_t> positions;     // [num_tokens]
  std::span<const std::int32_t> logit_rows;    // tokens whose logits are wanted, increasing
  std::span<const std::int32_t> cu_seqlens_q;  // [num_sequences + 1]
  std::span<const std::int32_t> context_lens;  // [num_sequences], new tokens included
  GroupInputs full;
  GroupInputs sliding;
};

/// What attention needs of a step: as StepInputs, in the backend's memory, all I32.
struct AttentionBatch {
  View cu_seqlens_q;
  View context_lens;
  View slot_mapping;
  View block_table;
  View block_table_starts;
  int num_sequences = 0;
  int num_tokens = 0;
  int max_query_len = 0;    // of a sequence in this step
  int max_context_len = 0;  // of a sequence in this step
};

/// A step in the backend's memory.
struct Step {
  View tokens;      // I32 [num_tokens]
  View positions;   // I32 [num_tokens]
  View logit_rows;  // I32 [num_logit_rows]
  AttentionBatch full;
  AttentionBatch sliding;

  int num_tokens() const { return full.num_tokens; }
  int num_logit_rows() const { return static_cast<int>(logit_rows.shape()[0]); }
};

}  // namespace gossamer::kernels
