#include "engine/block_pool.h"

#include <gtest/gtest.h>

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

TEST(BlockPoolTest, ABlockIsFreeWhenItsLastUserLeaves) {
  BlockPool pool(2);
  const BlockId block = pool.take();
  pool.share(block);
  pool.give_back(block);
  EXPECT_TRUE(pool.in_use(block));
  EXPECT_EQ(pool.num_free(), 1);
  pool.give_back(block);
  EXPECT_FALSE(pool.in_use(block));
  EXPECT_EQ(pool.num_free(), 2);
}

TEST(BlockPoolTest, AKeptBlockWithoutUsersIsFreeButNotEmpty) {
  BlockPool pool(2);
  const BlockId block = pool.take();
  pool.keep(block);
  pool.keep(block);
  pool.give_back(block);
  EXPECT_EQ(pool.num_free(), 2);
  EXPECT_EQ(pool.num_empty(), 1);
  pool.share(block);
  EXPECT_EQ(pool.num_free(), 1);
  pool.give_back(block);
  pool.forget(block);
  EXPECT_EQ(pool.num_empty(), 1);
  pool.forget(block);
  EXPECT_EQ(pool.num_empty(), 2);
  EXPECT_EQ(pool.num_free(), 2);
}

TEST(BlockPoolTest, AForgottenBlockStaysWithItsUser) {
  BlockPool pool(1);
  const BlockId block = pool.take();
  pool.keep(block);
  pool.forget(block);
  EXPECT_EQ(pool.num_free(), 0);
  pool.give_back(block);
  EXPECT_EQ(pool.take(), block);
}

}  // namespace
}  // namespace gossamer::engine
