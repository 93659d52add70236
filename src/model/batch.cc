#include "model/batch.h"

#include "base/check.h"

namespace gossamer::model {
namespace {

std::int64_t slot_of(std::span<const kernels::BlockId> table, std::int32_t position) {
  const kernels::BlockId block = table[static_cast<std::size_t>(position / kernels::kBlockSize)];
  GOSSAMER_CHECK(block != kernels::kNoBlock);
  return std::int64_t{block} * kernels::kBlockSize + position % kernels::kBlockSize;
}

}  // namespace

void Batch::reserve(int max_tokens, int max_sequences) {
  const auto num_tokens = static_cast<std::size_t>(max_tokens);
  const auto num_sequences = static_cast<std::size_t>(max_sequences);
  tokens.reserve(num_tokens);
  positions.reserve(num_tokens);
  logit_rows.reserve(num_tokens);
  cu_seqlens_q.reserve(num_sequences + 1);
  context_lens.reserve(num_sequences);
  for (Group* group : {&full, &sliding}) {
    group->slot_mapping.reserve(num_tokens);
    group->block_tables.reserve(num_sequences);
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
    group->block_tables.clear();
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
  full.block_tables.push_back(full_table);
  sliding.block_tables.push_back(sliding_table);
}

}  // namespace gossamer::model
