#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/token_id.h"
#include "kernels/step.h"

namespace gossamer::model {

/// A ragged step: the new tokens of several sequences back to back, prefill and decode mixed, with
/// what the kernels need to find their keys and values. Refilled every step without allocating.
struct Batch {
  /// Where one group of layers (full attention, or sliding window) keeps these tokens.
  struct Group {
    std::vector<std::int32_t> slot_mapping;        // [num_tokens]
    std::vector<kernels::BlockId> block_table;     // all sequences' tables, back to back
    std::vector<std::int32_t> block_table_starts;  // [num_sequences + 1]

    kernels::GroupInputs inputs() const;
  };

  std::vector<TokenId> tokens;             // [num_tokens]
  std::vector<std::int32_t> positions;     // [num_tokens]
  std::vector<std::int32_t> cu_seqlens_q;  // [num_sequences + 1]
  std::vector<std::int32_t> context_lens;  // [num_sequences]
  std::vector<std::int32_t> logit_rows;    // tokens whose logits are wanted, increasing
  Group full;
  Group sliding;

  /// Room for the largest step. max_context: positions of the longest sequence.
  void reserve(int max_tokens, int max_sequences, int max_context);

  /// Empties the batch, keeping its room.
  void clear();

  /// Adds a sequence's next tokens. The block tables must cover them.
  void add_sequence(
      std::span<const TokenId> new_tokens,
      std::int32_t first_position,
      std::span<const kernels::BlockId> full_table,
      std::span<const kernels::BlockId> sliding_table
  );

  int num_tokens() const { return static_cast<int>(tokens.size()); }

  /// What a backend takes a step from. Borrowed until the batch changes.
  kernels::StepInputs inputs() const;
};

}  // namespace gossamer::model
