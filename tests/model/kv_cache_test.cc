#include "model/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/reference/reference_backend.h"

namespace gossamer::model {
namespace {

Config released(int num_layers) {
  Config config;
  config.num_hidden_layers = num_layers;
  config.layer_types = alternating_layer_types(num_layers);
  return config;
}

TEST(KvCacheTest, ABlockOfThe20bTakesWhatItsLayersNeed) {
  // 12 layers of a group, keys and values, 8 heads of 64, 16 positions, float.
  const std::size_t expected = std::size_t{12} * 2 * 8 * 64 * 16 * 4;
  EXPECT_EQ(KvCache::block_bytes(released(24), LayerType::kFull, kernels::DType::kF32), expected);
  EXPECT_EQ(
      KvCache::block_bytes(released(24), LayerType::kSliding, kernels::DType::kF32), expected
  );
  EXPECT_EQ(
      KvCache::block_bytes(released(24), LayerType::kFull, kernels::DType::kF64), 2 * expected
  );
}

TEST(KvCacheTest, EachLayerHasItsGroupsBlocksInTheBackendsType) {
  kernels::reference::ReferenceBackend reference;
  const auto cache =
      KvCache::create(released(3), reference, {.full_blocks = 5, .sliding_blocks = 2});
  ASSERT_TRUE(cache.ok());
  EXPECT_EQ(cache->layer(0).keys.shape(), (tensor::Shape{2, 8, 16, 64}));
  EXPECT_EQ(cache->layer(1).values.shape(), (tensor::Shape{5, 8, 16, 64}));
  EXPECT_EQ(cache->layer(2).keys.dtype(), kernels::DType::kF64);
  EXPECT_NE(cache->layer(0).keys.data(), cache->layer(2).keys.data());
}

TEST(KvCacheTest, ABlockIsCopiedInTheLayersOfItsGroup) {
  kernels::cpu::CpuBackend cpu(1);
  const auto cache = KvCache::create(released(3), cpu, {.full_blocks = 3, .sliding_blocks = 3});
  ASSERT_TRUE(cache.ok());
  constexpr std::size_t kBlockElements = std::size_t{8} * 16 * 64;
  for (const kernels::KvLayer& layer : cache->layers()) {
    for (const tensor::MutableView& all : {layer.keys, layer.values}) {
      std::fill_n(all.as<float>(), kBlockElements, 1.0F);
    }
  }
  cache->copy_block(LayerType::kSliding, 0, 2);
  for (int i = 0; i < 3; ++i) {
    const float expected = i == 1 ? 0.0F : 1.0F;  // layer 1 sees all
    for (const tensor::MutableView& all : {cache->layer(i).keys, cache->layer(i).values}) {
      const float* block = all.as<float>() + 2 * kBlockElements;
      EXPECT_EQ(std::count(block, block + kBlockElements, expected), kBlockElements) << i;
      EXPECT_EQ(block[-1], 0.0F);
    }
  }
}

TEST(KvCacheTest, WhatNoAddressSpaceHoldsIsAnError) {
  kernels::cpu::CpuBackend cpu(1);
  const auto cache =
      KvCache::create(released(2), cpu, {.full_blocks = 2000000000, .sliding_blocks = 1});
  ASSERT_FALSE(cache.ok());
  EXPECT_EQ(cache.error().code, ErrorCode::kOutOfMemory);
}

}  // namespace
}  // namespace gossamer::model
