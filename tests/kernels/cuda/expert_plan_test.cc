#include "kernels/cuda/expert_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace gossamer::kernels::cuda {
namespace {

TEST(ExpertPlanTest, TilesGrowWithThePairsOfAnExpert) {
  EXPECT_EQ(expert_tile_pairs(4, 32), 8);
  EXPECT_EQ(expert_tile_pairs(64 * 4, 128), 8);
  EXPECT_EQ(expert_tile_pairs(32 * 4, 32), 8);
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

TEST(ExpertPlanTest, KernelsRunWhereTheirMemoryIs) {
  constexpr GemmDevice kHopper{.shared_bytes_per_block = 232448, .has_bulk_copies = true};
  constexpr GemmDevice kAmpere{.shared_bytes_per_block = 166912};
  constexpr GemmDevice kAda{.shared_bytes_per_block = 101376};
  EXPECT_TRUE(can_run(ExpertKernel::kRing, 8, 2880, kHopper));
  EXPECT_FALSE(can_run(ExpertKernel::kRing, 32, 2880, kHopper));
  EXPECT_FALSE(can_run(ExpertKernel::kRing, 8, 5760, kHopper));
  EXPECT_FALSE(can_run(ExpertKernel::kRing, 8, 64, kAmpere));
  EXPECT_TRUE(can_run(ExpertKernel::kStream, 8, 2880, kAmpere));
  EXPECT_FALSE(can_run(ExpertKernel::kStream, 8, 2880, kAda));
  EXPECT_TRUE(can_run(ExpertKernel::kTiled, 8, 2880, kAda));
}

}  // namespace
}  // namespace gossamer::kernels::cuda
