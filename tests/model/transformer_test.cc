#include "model/transformer.h"

#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "kernels/cpu/cpu_backend.h"
#include "tests/model/counted_allocations.h"

namespace gossamer::model {
namespace {

class TransformerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto checkpoint =
        checkpoint::Checkpoint::open(std::string(GOSSAMER_GOLDEN_DIR) + "/tiny/original");
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
    checkpoint_ = std::make_unique<checkpoint::Checkpoint>(std::move(checkpoint).value());
    auto cache = KvCache::create(checkpoint_->config(), backend_, {8, 8});
    ASSERT_TRUE(cache.ok());
    cache_ = std::make_unique<KvCache>(std::move(cache).value());
    auto transformer = Transformer::create(
        checkpoint_->config(),
        checkpoint_->weights(),
        backend_,
        {.max_tokens = 32, .max_sequences = 4, .max_logit_rows = 4, .max_context = 64}
    );
    ASSERT_TRUE(transformer.ok());
    transformer_ = std::make_unique<Transformer>(std::move(transformer).value());
    batch_.reserve(32, 4, 64);
  }

  void fill_batch() {
    batch_.clear();
    batch_.add_sequence(prompt_, 0, blocks_a_, blocks_a_);
    batch_.add_sequence(std::span(prompt_).first(1), 16, blocks_b_, blocks_b_);
    batch_.logit_rows.push_back(19);
    batch_.logit_rows.push_back(20);
  }

  kernels::cpu::CpuBackend backend_{3};
  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<Transformer> transformer_;
  Batch batch_;
  std::vector<TokenId> prompt_ = std::vector<TokenId>(20, 5);
  std::vector<kernels::BlockId> blocks_a_ = {0, 1};
  std::vector<kernels::BlockId> blocks_b_ = {2, 3};
};

TEST_F(TransformerTest, AStepAllocatesNothing) {
  fill_batch();
  transformer_->forward(batch_, *cache_);
  const std::size_t before = num_allocations();
  fill_batch();
  transformer_->forward(batch_, *cache_);
  EXPECT_EQ(num_allocations() - before, 0U);
}

TEST_F(TransformerTest, ReturnsARowForEachWantedToken) {
  fill_batch();
  const tensor::View logits = transformer_->forward(batch_, *cache_);
  EXPECT_EQ(logits.shape(), (tensor::Shape{2, 1024}));
  batch_.logit_rows.clear();
  EXPECT_EQ(transformer_->forward(batch_, *cache_).shape(), (tensor::Shape{0, 1024}));
}

}  // namespace
}  // namespace gossamer::model
