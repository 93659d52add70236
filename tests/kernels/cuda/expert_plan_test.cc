#include "kernels/cuda/expert_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace gossamer::kernels::cuda {
namespace {

TEST(ExpertPlanTest, TilesGrowWithThePairsOfAnExpert) {
  EXPECT_EQ(expert_tile_pairs(4, 32), 8);
  EXPECT_EQ(expert_tile_pairs(64 * 4, 128), 8);
  EXPECT_EQ(expert_tile_pairs(32 * 4, 32), 16);
  EXPECT_EQ(expert_tile_pairs(64 * 4, 32), 32);
  EXPECT_EQ(expert_tile_pairs(2048 * 4, 32), 128);
  for (const int num_experts : {4, 32, 128}) {
    int last = 0;
    for (int pairs = 4; pairs <= 32768; pairs += 4) {
      const int size = expert_tile_pairs(pairs, num_experts);
      EXPECT_GE(size, last);
      last = size;
    }
  }
}

TEST(ExpertPlanTest, NoRoutingMakesMoreTilesThanTheMost) {
  for (const int num_experts : {4, 32, 128}) {
    for (const int pairs : {1, 4, 31, 32, 33, 256, 8192, 32768}) {
      const int size = expert_tile_pairs(pairs, num_experts);
      // The worst: all experts but one have a pair that begins a tile.
      const int others = std::min(pairs, num_experts) - 1;
      const int last = pairs - others;
      EXPECT_LE(others + (last + size - 1) / size, max_expert_tiles(pairs, num_experts));
    }
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda
