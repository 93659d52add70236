#include "model/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gossamer::model {
namespace {

using testing::ElementsAre;

TEST(BatchTest, LaysSequencesBackToBackWithTheirSlots) {
  Batch batch;
  batch.reserve(8, 2, 32);
  const std::vector<TokenId> prompt = {7, 8, 9};
  const std::vector<TokenId> next = {5};
  const std::vector<kernels::BlockId> full_a = {3};
  const std::vector<kernels::BlockId> sliding_a = {1};
  const std::vector<kernels::BlockId> full_b = {0, 4};
  const std::vector<kernels::BlockId> sliding_b = {kernels::kNoBlock, 2};
  batch.add_sequence(prompt, 0, full_a, sliding_a);
  batch.add_sequence(next, 17, full_b, sliding_b);
  EXPECT_THAT(batch.tokens, ElementsAre(7, 8, 9, 5));
  EXPECT_THAT(batch.positions, ElementsAre(0, 1, 2, 17));
  EXPECT_THAT(batch.cu_seqlens_q, ElementsAre(0, 3, 4));
  EXPECT_THAT(batch.context_lens, ElementsAre(3, 18));
  EXPECT_THAT(batch.full.slot_mapping, ElementsAre(48, 49, 50, 65));
  EXPECT_THAT(batch.sliding.slot_mapping, ElementsAre(16, 17, 18, 33));
  EXPECT_THAT(batch.full.block_table, ElementsAre(3, 0, 4));
  EXPECT_THAT(batch.full.block_table_starts, ElementsAre(0, 1, 3));
  EXPECT_THAT(batch.sliding.block_table, ElementsAre(1, kernels::kNoBlock, 2));
  EXPECT_THAT(batch.inputs().sliding.block_table_starts, ElementsAre(0, 1, 3));
  batch.clear();
  EXPECT_EQ(batch.num_tokens(), 0);
  EXPECT_THAT(batch.cu_seqlens_q, ElementsAre(0));
  EXPECT_THAT(batch.full.block_table_starts, ElementsAre(0));
}

}  // namespace
}  // namespace gossamer::model
