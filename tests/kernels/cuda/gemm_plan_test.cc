#include "kernels/cuda/gemm_plan.h"

#include <gtest/gtest.h>

namespace gossamer::kernels::cuda {
namespace {

constexpr GemmDevice kHopper{.num_multiprocessors = 132, .shared_bytes_per_block = 227 * 1024};
constexpr GemmDevice kAda{.num_multiprocessors = 128, .shared_bytes_per_block = 99 * 1024};

std::int64_t tiles_of(const GemmExtents& extents, GemmTile tile) {
  const std::int64_t tokens = tokens_of(tile);
  return (extents.rows + kGemmTileRows - 1) / kGemmTileRows *
         ((extents.num_tokens + tokens - 1) / tokens);
}

TEST(GemmPlanTest, FewTokensStayInSharedMemoryWhereTheyFit) {
  EXPECT_EQ(plan_gemm({1, 5120, 2880}, kHopper).tile, GemmTile::kStream8);
  EXPECT_EQ(plan_gemm({8, 201088, 2880}, kHopper).tile, GemmTile::kStream8);
  EXPECT_EQ(plan_gemm({9, 5120, 2880}, kHopper).tile, GemmTile::kStream16);
  EXPECT_EQ(plan_gemm({16, 2880, 4096}, kHopper).tile, GemmTile::kStream16);
  EXPECT_EQ(plan_gemm({16, 2880, 4096}, kAda).tile, GemmTile::kTile32);
}

TEST(GemmPlanTest, ATileHoldsAllTokensOfADecodingBatch) {
  for (int tokens = 17; tokens <= 64; ++tokens) {
    const GemmPlan plan = plan_gemm({tokens, 5120, 2880}, kHopper);
    EXPECT_GE(tokens_of(plan.tile), tokens);
    EXPECT_LT(tokens_of(plan.tile), 2 * tokens);
  }
}

TEST(GemmPlanTest, SplitsNeverExceedTheScratchOrTheColumns) {
  for (const std::int64_t tokens : {1, 8, 16, 17, 32, 33, 64, 65, 128, 300, 2048, 8192}) {
    for (const std::int64_t rows : {8, 32, 128, 320, 2880, 5120, 201088}) {
      for (const std::int64_t columns : {32, 160, 192, 2880, 4096}) {
        for (const GemmDevice& device : {kHopper, kAda}) {
          const GemmExtents extents{tokens, rows, columns};
          const GemmPlan plan = plan_gemm(extents, device);
          ASSERT_GE(plan.splits, 1);
          if (plan.splits == 1) continue;
          EXPECT_LE(tokens_of(plan.tile), kMaxSplitTokens);
          EXPECT_LE(tiles_of(extents, plan.tile) * plan.splits, kMaxSplitParts);
          EXPECT_LE(plan.splits * kGemmTileColumns, columns);
        }
      }
    }
  }
}

TEST(GemmPlanTest, ManyTokensAreNotSplit) {
  EXPECT_EQ(plan_gemm({2048, 2880, 4096}, kHopper).splits, 1);
}

}  // namespace
}  // namespace gossamer::kernels::cuda
