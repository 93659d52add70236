#include "engine/kv_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gossamer::engine {
namespace {

using kernels::DType;
using testing::HasSubstr;

// A window of 128 positions is 8 blocks.
model::Config config() {
  model::Config config;
  config.num_hidden_layers = 4;
  config.layer_types = model::alternating_layer_types(4);
  return config;
}

constexpr int kFullBlockBytes = 2 * 2 * 8 * 16 * 64 * 4;  // as many in the sliding group

TEST(KvSizeTest, WithoutABudgetEverySequenceCanBeAsLongAsTheContext) {
  const auto size =
      choose_kv_size(config(), {.context_length = 4096, .max_sequences = 4}, DType::kF32);
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(size->full_blocks, 4 * 256);
  EXPECT_EQ(size->sliding_blocks, 4 * 10 + 512 / 16);
}

TEST(KvSizeTest, ShortContextsTakeNoWholeWindow) {
  const auto size =
      choose_kv_size(config(), {.context_length = 64, .max_sequences = 4}, DType::kF32);
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(size->sliding_blocks, 4 * 4);
}

TEST(KvSizeTest, ABudgetPaysForWindowsAndSnapshotsAndFullBlocksGetTheRest) {
  const EngineOptions options{
      .context_length = 131072,
      .max_sequences = 4,
      .kv_cache_bytes = std::uint64_t{1000} * kFullBlockBytes + 7,
      .num_snapshots = 10};
  const auto size = choose_kv_size(config(), options, DType::kF32);
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(size->sliding_blocks, 4 * 10 + 32 + 80);
  EXPECT_EQ(size->full_blocks, 1000 - 152);
  EXPECT_EQ(kv_cache_bytes(config(), options, DType::kF32), std::uint64_t{1000} * kFullBlockBytes);
}

TEST(KvSizeTest, WithoutAPrefixCacheABudgetIsNotUsedBeyondNeed) {
  const auto size = choose_kv_size(
      config(),
      {.context_length = 160, .max_sequences = 4, .kv_cache_bytes = std::uint64_t{1} << 40U},
      DType::kF32
  );
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(size->full_blocks, 40);
}

TEST(KvSizeTest, UsuallyEverySequenceHasItsShareAndOneCanFillTheContext) {
  const auto num_full = [](int context_length, int max_sequences) {
    EngineOptions options{
        .context_length = context_length, .max_sequences = max_sequences, .num_snapshots = 10};
    options.kv_cache_bytes = usual_kv_cache_bytes(config(), options, DType::kF32);
    return choose_kv_size(config(), options, DType::kF32)->full_blocks;
  };
  EXPECT_EQ(num_full(131072, 64), 64 * 256);
  EXPECT_EQ(num_full(131072, 4), 131072 / 16);
  EXPECT_EQ(num_full(1024, 4), 4 * 64);
}

TEST(KvSizeTest, FreeMemoryCutsWhatWasNotAskedFor) {
  const EngineOptions options{.context_length = 4096, .max_sequences = 4};
  const std::uint64_t free_bytes = std::uint64_t{500} * kFullBlockBytes + 7;
  const auto cut = choose_kv_size(config(), options, DType::kF32, free_bytes);
  ASSERT_TRUE(cut.ok());
  EXPECT_EQ(cut->sliding_blocks, 72);
  EXPECT_EQ(cut->full_blocks, 500 - 72);
  const auto whole = choose_kv_size(config(), options, DType::kF32, std::uint64_t{1} << 40U);
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->full_blocks, 4 * 256);
}

TEST(KvSizeTest, MoreThanIsFreeIsRefusedWithBothNumbers) {
  const auto size = choose_kv_size(
      config(),
      {.context_length = 4096, .max_sequences = 4, .kv_cache_bytes = 200'000'000},
      DType::kF32,
      100'000'000
  );
  ASSERT_FALSE(size.ok());
  EXPECT_EQ(size.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(size.error().message, HasSubstr("100.00 MB of memory are free"));
  const auto none = choose_kv_size(config(), {.context_length = 4096}, DType::kF32, 1000000);
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().message, HasSubstr("the KV cache has 1000000 bytes"));
}

TEST(KvSizeTest, TooLittleIsRefusedWithWhatWouldDo) {
  const auto bytes =
      choose_kv_size(config(), {.context_length = 4096, .kv_cache_bytes = 1000000}, DType::kF32);
  ASSERT_FALSE(bytes.ok());
  EXPECT_EQ(bytes.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(bytes.error().message, HasSubstr("1000000 bytes"));
  EXPECT_THAT(bytes.error().message, HasSubstr(std::to_string((42 + 1) * kFullBlockBytes)));
  const auto blocks = choose_kv_size(
      config(), {.context_length = 4096, .kv_blocks = model::KvCacheSize{10, 8}}, DType::kF32
  );
  ASSERT_FALSE(blocks.ok());
  EXPECT_THAT(blocks.error().message, HasSubstr("at least 1 and 9"));
}

}  // namespace
}  // namespace gossamer::engine
