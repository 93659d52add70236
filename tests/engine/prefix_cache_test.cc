#include "engine/prefix_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace gossamer::engine {
namespace {

using kernels::kBlockSize;
using testing::ElementsAre;

constexpr int kWindow = 32;

class PrefixCacheTest : public testing::Test {
 protected:
  using Tokens = std::vector<TokenId>;

  std::unique_ptr<BlockTables> tables() {
    return std::make_unique<BlockTables>(full_, sliding_, kWindow, 160);
  }

  /// Tokens of `count` positions, all `first` but for the last, which is `last`.
  static Tokens tokens(int count, TokenId first, TokenId last) {
    Tokens tokens(static_cast<std::size_t>(count), first);
    tokens.back() = last;
    return tokens;
  }

  /// Computes a sequence as the scheduler does, with snapshots at `positions`, and of the blocks
  /// behind them as far as `num_known`.
  std::unique_ptr<BlockTables> compute(
      const Tokens& text, const std::vector<int>& positions, int num_known = 0
  ) {
    auto blocks = tables();
    const int begin = cache_.resume(text, *blocks).position;
    const int length = static_cast<int>(text.size());
    cache_.make_room(blocks->missing_full(length), blocks->missing_sliding(length));
    blocks->grow(length);
    cache_.touch(blocks->full(), begin / kBlockSize);
    for (int block = begin / kBlockSize; block < length / kBlockSize; ++block) {
      cache_.publish(text, static_cast<std::size_t>(block), *blocks);
    }
    for (const int position : positions) cache_.snapshot(position, *blocks, num_known);
    return blocks;
  }

  int resumed(const Tokens& text) {
    auto blocks = tables();
    return cache_.resume(text, *blocks).position;
  }

  BlockPool full_{12};
  BlockPool sliding_{12};
  PrefixCache cache_{full_, sliding_, kWindow, PrefixCache::Mode::kEnabled};
};

TEST_F(PrefixCacheTest, ResumesAtTheDeepestSnapshotOfTheSameTokens) {
  compute(tokens(80, 1, 2), {16, 48});
  EXPECT_EQ(full_.num_free(), 12);
  EXPECT_EQ(full_.num_empty(), 7);
  EXPECT_EQ(resumed(tokens(80, 1, 2)), 48);
  EXPECT_EQ(resumed(tokens(64, 1, 3)), 48);
  EXPECT_EQ(resumed(tokens(48, 1, 3)), 16);
  EXPECT_EQ(resumed(tokens(16, 1, 3)), 0);
  EXPECT_EQ(resumed(tokens(80, 2, 2)), 0);
}

TEST_F(PrefixCacheTest, LeavesATokenToCompute) {
  compute(tokens(49, 1, 1), {16, 48});
  EXPECT_EQ(resumed(tokens(48, 1, 1)), 16);
  EXPECT_EQ(resumed(tokens(49, 1, 1)), 48);
}

TEST_F(PrefixCacheTest, ChainsAreComparedFromTheirBeginning) {
  Tokens text = tokens(48, 1, 1);
  compute(text, {16, 32, 48});
  text[3] = 7;  // all blocks after the first look alike
  text.push_back(1);
  EXPECT_EQ(resumed(text), 0);
}

TEST_F(PrefixCacheTest, AResumedSequenceUsesTheBlocksAndGivesThemBack) {
  auto first = compute(tokens(64, 1, 1), {48});
  auto second = compute(tokens(64, 1, 2), {});
  EXPECT_THAT(second->full().first(3), testing::ElementsAreArray(first->full().first(3)));
  EXPECT_NE(second->full()[3], first->full()[3]);
  EXPECT_THAT(
      second->sliding(),
      ElementsAre(kernels::kNoBlock, first->sliding()[1], first->sliding()[2], testing::Ge(0))
  );
  EXPECT_EQ(full_.num_free(), 12 - 5);
  first.reset();
  second.reset();
  EXPECT_EQ(full_.num_free(), 12);
  EXPECT_EQ(sliding_.num_free(), 12);
}

TEST_F(PrefixCacheTest, WhatTwoComputedAtOnceIsKeptOnce) {
  auto first = tables();
  auto second = tables();
  const Tokens text = tokens(32, 1, 1);
  for (auto* blocks : {first.get(), second.get()}) blocks->grow(32);
  for (auto* blocks : {first.get(), second.get()}) {
    cache_.publish(text, 0, *blocks);
    cache_.publish(text, 1, *blocks);
  }
  EXPECT_EQ(second->full()[0], first->full()[0]);
  EXPECT_EQ(second->full()[1], first->full()[1]);
  EXPECT_EQ(full_.num_free(), 10);
}

TEST_F(PrefixCacheTest, EndsOfChainsGoBeforeTheirBeginningsAndTheOldestFirst) {
  compute(tokens(64, 1, 1), {16, 32, 48, 64});
  compute(tokens(64, 2, 2), {64});
  EXPECT_EQ(full_.num_empty(), 4);
  cache_.make_room(5, 0);
  EXPECT_EQ(resumed(tokens(65, 1, 1)), 48);  // its last block went
  EXPECT_EQ(resumed(tokens(65, 2, 2)), 64);
  cache_.make_room(12, 0);
  EXPECT_EQ(full_.num_empty(), 12);
  EXPECT_EQ(cache_.num_snapshots(), 0);
  EXPECT_EQ(sliding_.num_empty(), 12);
}

TEST_F(PrefixCacheTest, UseMakesAChainYoung) {
  compute(tokens(64, 1, 1), {48});
  compute(tokens(64, 2, 2), {48});
  compute(tokens(49, 1, 3), {48});  // resumes, and so uses the first
  cache_.make_room(8, 0);
  EXPECT_EQ(resumed(tokens(64, 1, 9)), 48);
  cache_.make_room(9, 0);
  EXPECT_EQ(resumed(tokens(64, 1, 9)) + resumed(tokens(64, 2, 9)), 48);
}

TEST_F(PrefixCacheTest, BlocksInUseAreNeverTakenAway) {
  auto blocks = compute(tokens(64, 1, 1), {32, 64});
  compute(tokens(64, 2, 2), {64});
  cache_.make_room(8, 8);
  EXPECT_EQ(full_.num_empty(), 8);
  EXPECT_EQ(resumed(tokens(65, 1, 1)), 64);
}

TEST_F(PrefixCacheTest, SnapshotsGoOldestFirstWhenTheWindowsBlocksAreNeeded) {
  compute(tokens(32, 1, 1), {32});
  compute(tokens(32, 2, 2), {32});
  compute(tokens(32, 1, 1), {32});  // the first again: it is younger now
  EXPECT_EQ(sliding_.num_empty(), 8);
  cache_.make_room(0, 9);
  EXPECT_EQ(cache_.num_snapshots(), 1);
  EXPECT_EQ(resumed(tokens(33, 1, 1)), 32);
  EXPECT_EQ(resumed(tokens(33, 2, 2)), 0);
}

TEST_F(PrefixCacheTest, ASnapshotNeedsTheWholeWindow) {
  auto blocks = compute(tokens(64, 1, 1), {});
  blocks->release_passed(64);
  cache_.snapshot(48, *blocks, 0);
  EXPECT_EQ(cache_.num_snapshots(), 0);
  cache_.snapshot(64, *blocks, 0);
  EXPECT_EQ(cache_.num_snapshots(), 1);
}

TEST_F(PrefixCacheTest, ResumesInsideABlockThatBeginsAlike) {
  const auto first = compute(tokens(64, 1, 2), {32}, 4);
  Tokens text = tokens(70, 1, 1);
  std::fill(text.begin() + 52, text.end(), 3);
  const auto second = tables();
  const PrefixStart start = cache_.resume(text, *second);
  EXPECT_EQ(start.position, 52);
  ASSERT_TRUE(start.partial);
  EXPECT_EQ(start.partial->full, first->full()[3]);
  EXPECT_EQ(start.partial->sliding, first->sliding()[3]);
  EXPECT_THAT(second->full(), testing::ElementsAreArray(first->full().first(3)));
  EXPECT_EQ(second->sliding()[2], first->sliding()[2]);
}

TEST_F(PrefixCacheTest, ABlockThatBeginsOtherwiseIsNoStart) {
  compute(tokens(64, 1, 2), {32}, 3);
  Tokens text = tokens(70, 1, 1);
  text[48] = 3;
  auto blocks = tables();
  const PrefixStart start = cache_.resume(text, *blocks);
  EXPECT_EQ(start.position, 48);
  EXPECT_FALSE(start.partial);
  text[32] = 3;
  blocks = tables();
  EXPECT_EQ(cache_.resume(text, *blocks).position, 32);
}

TEST_F(PrefixCacheTest, BlocksAheadLeaveATokenToCompute) {
  compute(tokens(64, 1, 1), {32}, 4);
  EXPECT_EQ(resumed(tokens(65, 1, 1)), 64);
  EXPECT_EQ(resumed(tokens(64, 1, 1)), 63);
  EXPECT_EQ(resumed(tokens(49, 1, 1)), 48);
  EXPECT_EQ(resumed(tokens(48, 1, 1)), 47);
}

TEST_F(PrefixCacheTest, OnlyAFewBlocksAheadAreRemembered) {
  compute(tokens(96, 1, 1), {16}, 6);
  EXPECT_EQ(resumed(tokens(97, 1, 1)), 48);
}

TEST_F(PrefixCacheTest, BlocksAheadStayUntilOthersBeginOtherwise) {
  const auto first = compute(tokens(64, 1, 2), {32}, 4);
  Tokens alike = tokens(64, 1, 1);
  std::fill(alike.begin() + 40, alike.end(), 3);
  compute(alike, {32}, 4);
  EXPECT_EQ(resumed(alike), 40);
  EXPECT_EQ(resumed(tokens(65, 1, 1)), 63);
  Tokens other = tokens(64, 1, 1);
  std::fill(other.begin() + 32, other.end(), 3);
  compute(other, {32}, 4);
  EXPECT_EQ(resumed(other), 63);
  EXPECT_EQ(resumed(tokens(64, 1, 2)), 32);
  EXPECT_EQ(sliding_.num_empty(), 12 - 6);  // `first` still uses its own
}

TEST_F(PrefixCacheTest, BlocksAheadGoWithTheirSnapshot) {
  compute(tokens(64, 1, 1), {32}, 4);
  EXPECT_EQ(sliding_.num_free(), 12);
  EXPECT_EQ(sliding_.num_empty(), 12 - 4);
  cache_.make_room(0, 9);
  EXPECT_EQ(sliding_.num_empty(), 12);
  EXPECT_EQ(resumed(tokens(64, 1, 1)), 0);
}

TEST_F(PrefixCacheTest, BlocksAheadGoWithTheirTokens) {
  compute(tokens(64, 1, 1), {32}, 4);
  cache_.make_room(9, 0);
  EXPECT_EQ(sliding_.num_empty(), 12 - 3);
  EXPECT_EQ(resumed(tokens(65, 1, 1)), 48);
  cache_.make_room(12, 0);
  EXPECT_EQ(sliding_.num_empty(), 12);
}

TEST_F(PrefixCacheTest, ADisabledCacheRemembersNothing) {
  PrefixCache disabled(full_, sliding_, kWindow, PrefixCache::Mode::kDisabled);
  const Tokens text = tokens(64, 1, 1);
  auto blocks = tables();
  blocks->grow(64);
  disabled.publish(text, 0, *blocks);
  disabled.snapshot(16, *blocks, 1);
  blocks = tables();
  EXPECT_EQ(disabled.resume(text, *blocks).position, 0);
  EXPECT_EQ(full_.num_empty(), 12);
}

}  // namespace
}  // namespace gossamer::engine
