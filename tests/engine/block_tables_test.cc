#include "engine/block_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace gossamer::engine {
namespace {

using kernels::kNoBlock;
using testing::ElementsAre;

TEST(BlockTablesTest, GrowByWholeBlocks) {
  BlockPool full(10);
  BlockPool sliding(10);
  BlockTables tables(full, sliding, 128, 100);
  tables.grow(1);
  EXPECT_EQ(tables.full().size(), 1U);
  tables.grow(16);
  EXPECT_EQ(tables.full().size(), 1U);
  tables.grow(17);
  EXPECT_EQ(tables.full().size(), 2U);
  EXPECT_EQ(tables.sliding().size(), 2U);
  EXPECT_EQ(full.num_free(), 8);
}

TEST(BlockTablesTest, ReleaseExactlyWhatNoWindowReaches) {
  BlockPool full(100);
  BlockPool sliding(100);
  BlockTables tables(full, sliding, 32, 1600);
  tables.grow(64);
  // Position 46 sees 15 and on: block 0 still holds 15. Position 47 sees 16 and on.
  tables.release_passed(46);
  EXPECT_NE(tables.sliding()[0], kernels::kNoBlock);
  tables.release_passed(47);
  EXPECT_EQ(tables.sliding()[0], kernels::kNoBlock);
  EXPECT_NE(tables.sliding()[1], kernels::kNoBlock);
  EXPECT_EQ(sliding.num_free(), 97);
  EXPECT_EQ(full.num_free(), 96);
}

TEST(BlockTablesTest, NeverHoldMoreSlidingBlocksThanReserved) {
  for (const int window : {1, 16, 31, 32, 128}) {
    for (const int chunk : {1, 7, 16, 100}) {
      const int length = 1000;
      const int reserved = max_sliding_blocks(window, chunk, length);
      BlockPool full(blocks_for(length));
      BlockPool sliding(reserved);
      BlockTables tables(full, sliding, window, length);
      for (int begin = 0; begin < length; begin += chunk) {
        tables.release_passed(begin);
        tables.grow(std::min(begin + chunk, length));  // dies when the pool is empty
      }
      EXPECT_EQ(full.num_free(), 0);
    }
  }
}

TEST(BlockTablesTest, GiveEverythingBackAtTheEnd) {
  BlockPool full(10);
  BlockPool sliding(10);
  {
    BlockTables tables(full, sliding, 16, 160);
    tables.grow(160);
    tables.release_passed(100);
  }
  EXPECT_EQ(full.num_free(), 10);
  EXPECT_EQ(sliding.num_free(), 10);
}

TEST(BlockTablesTest, ResumeWithBlocksOfOthersAndTakeTheirOwnAfterThem) {
  BlockPool full(10);
  BlockPool sliding(10);
  BlockTables first(full, sliding, 16, 160);
  first.grow(64);
  BlockTables second(full, sliding, 16, 160);
  second.resume(first.full().first(3), first.sliding().subspan(2, 1));
  second.grow(64);
  EXPECT_THAT(second.full(), ElementsAre(0, 1, 2, 4));
  EXPECT_THAT(second.sliding(), ElementsAre(kNoBlock, kNoBlock, 2, 4));
  EXPECT_EQ(full.num_free(), 5);
  second.release_passed(64);
  EXPECT_TRUE(sliding.in_use(2));  // the first's still
  EXPECT_EQ(sliding.num_free(), 5);
}

TEST(BlockTablesTest, AReplacedBlockGoesBack) {
  BlockPool full(10);
  BlockPool sliding(10);
  BlockTables first(full, sliding, 16, 160);
  first.grow(16);
  BlockTables second(full, sliding, 16, 160);
  second.grow(32);
  second.replace_full(0, first.full()[0]);
  EXPECT_THAT(second.full(), ElementsAre(0, 2));
  EXPECT_FALSE(full.in_use(1));
}

TEST(BlockTablesTest, SayHowManyBlocksTheyMiss) {
  BlockPool full(10);
  BlockPool sliding(10);
  BlockTables tables(full, sliding, 16, 160);
  tables.grow_full(33);
  EXPECT_EQ(tables.missing_full(48), 0);
  EXPECT_EQ(tables.missing_full(49), 1);
  EXPECT_EQ(tables.missing_sliding(48), 3);
}

}  // namespace
}  // namespace gossamer::engine
