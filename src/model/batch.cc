#include "model/batch.h"

#include "base/check.h"

namespace gossamer::model {
namespace {

std::int32_t slot_of(std::span<const kernels::BlockId> table, std::int32_t position) {
  const kernels::BlockId block = table[static_cast<std::size_t>(position / kernels::kBlockSize)];
  GOSSAMER_CHECK(block != kernels::kNoBlock);
  return block * kernels::kBlockSize + position % kernels::kBlockSize;
}

void add_table(std::span<const kernels::BlockId> table, Batch::Group& group) {
  group.block_table.insert(group.block_table.end(), table.begin(), table.end());
  group.block_table_starts.push_back(static_cast<std::int32_t>(group.block_table.size()));
}

}  // namespace

kernels::GroupInputs Batch::Group::inputs() const {
  return {
      .slot_mapping = slot_mapping,
      .block_table = block_table,
      .block_table_starts = block_table_starts,
  };
}

kernels::StepInputs Batch::inputs() const {
  return {
      .tokens = tokens,
      .positions = positions,
      .logit_rows = logit_rows,
      .cu_seqlens_q = cu_seqlens_q,
      .context_lens = context_lens,
      .full = full.inputs(),
      .sliding = sliding.inputs(),
  };
}

void Batch::reserve(int max_tokens, int max_sequences, int max_context) {
  const auto num_tokens = static_cast<std::size_t>(max_tokens);
  const auto num_sequences = static_cast<std::size_t>(max_sequences);
  const auto table_size =
      static_cast<std::size_t>((max_context + kernels::kBlockSize - 1) / kernels::kBlockSize);
  tokens.reserve(num_tokens);
  positions.reserve(num_tokens);
  logit_rows.reserve(num_tokens);
  cu_seqlens_q.reserve(num_sequences + 1);
  context_lens.reserve(num_sequences);
  for (Group* group : {&full, &sliding}) {
    group->slot_mapping.reserve(num_tokens);
    group->block_table.reserve(num_sequences * table_size);
    group->block_table_starts.reserve(num_sequences + 1);
  }
  clear();
}

void Batch::clear() {
  tokens.clear();
  positions.clear();
  logit_rows.clear();
  cu_seqlens_q.assign(1, 0);
  context_lens.clear();
  for (Group* group : {&full, &sliding}) {
    group->slot_mapping.clear();
    group->block_table.clear();
    group->block_table_starts.assign(1, 0);
  }
}

void Batch::add_sequence(
    std::span<const TokenId> new_tokens,
    std::int32_t first_position,
    std::span<const kernels::BlockId> full_table,
    std::span<const kernels::BlockId> sliding_table
) {
  const auto count = static_cast<std::int32_t>(new_tokens.size());
  for (std::int32_t i = 0; i < count; ++i) {
    const std::int32_t position = first_position + i;
    tokens.push_back(new_tokens[static_cast<std::size_t>(i)]);
    positions.push_back(position);
    full.slot_mapping.push_back(slot_of(full_table, position));
    sliding.slot_mapping.push_back(slot_of(sliding_table, position));
  }
  cu_seqlens_q.push_back(cu_seqlens_q.back() + count);
  context_lens.push_back(first_position + count);
  add_table(full_table, full);
  add_table(sliding_table, sliding);
}

}  // namespace gossamer::model
