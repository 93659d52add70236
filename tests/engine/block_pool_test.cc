#include "engine/block_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace gossamer::engine {
namespace {

TEST(BlockPoolTest, GivesEachBlockOnceAndTakesItBack) {
  BlockPool pool(3);
  std::set<BlockId> taken = {pool.take(), pool.take(), pool.take()};
  EXPECT_EQ(taken, (std::set<BlockId>{0, 1, 2}));
  EXPECT_EQ(pool.num_free(), 0);
  pool.give_back(1);
  EXPECT_EQ(pool.take(), 1);
}

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

}  // namespace
}  // namespace gossamer::engine
