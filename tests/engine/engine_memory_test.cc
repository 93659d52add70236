// An engine on a backend whose memory is its own, and small.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/kv_size.h"
#include "tests/engine/tiny_model.h"

namespace gossamer::engine {
namespace {

using testing::HasSubstr;

class SmallBackend final : public kernels::cpu::CpuBackend {
 public:
  explicit SmallBackend(std::uint64_t size_bytes) : CpuBackend(1), free_bytes_(size_bytes) {}

  std::optional<std::uint64_t> free_memory_bytes() const override { return free_bytes_; }

  Result<std::unique_ptr<tensor::Buffer>> allocate(std::size_t size_bytes) override {
    GOSSAMER_CHECK(size_bytes <= free_bytes_);
    free_bytes_ -= size_bytes;
    return CpuBackend::allocate(size_bytes);
  }

 private:
  std::uint64_t free_bytes_;
};

class EngineMemoryTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Engine>> make(kernels::Backend& backend, const EngineOptions& options) {
    return Engine::create(
        model_.checkpoint().config(), model_.checkpoint().weights(), backend, options
    );
  }

  TinyModel model_;
  EngineOptions options_{.context_length = 4096, .max_sequences = 2, .max_batch_tokens = 32};
};

TEST_F(EngineMemoryTest, TheCacheHasWhatAllSequencesNeedWhereThatFits) {
  const std::uint64_t size = std::uint64_t{1} << 30U;
  SmallBackend backend(size);
  const auto engine = make(backend, options_);
  ASSERT_TRUE(engine.ok()) << engine.error().message;
  const MemoryUse& memory = (*engine)->memory();
  EXPECT_EQ(memory.kv_cache_tokens, 2 * 4096);
  EXPECT_EQ(
      memory.kv_cache_bytes,
      kv_cache_bytes(model_.checkpoint().config(), options_, kernels::DType::kF32)
  );
  EXPECT_GT(memory.scratch_bytes, 0U);
  EXPECT_EQ(memory.free_bytes, size - memory.scratch_bytes - memory.kv_cache_bytes);
  EXPECT_EQ((*engine)->longest_sequence(), 4096);
}

TEST_F(EngineMemoryTest, TheCacheIsCutToWhatIsFreeButForAReserve) {
  const std::uint64_t size = std::uint64_t{6} << 20U;
  SmallBackend backend(size);
  const auto engine = make(backend, options_);
  ASSERT_TRUE(engine.ok()) << engine.error().message;
  const MemoryUse& memory = (*engine)->memory();
  EXPECT_GE(*memory.free_bytes, (size - memory.scratch_bytes) / 8);
  EXPECT_LT(*memory.free_bytes, (size - memory.scratch_bytes) / 7);
  EXPECT_LT((*engine)->longest_sequence(), 4096);
  EXPECT_EQ((*engine)->longest_sequence(), memory.kv_cache_tokens);
  const Status status =
      (*engine)->check(greedy(std::vector<TokenId>(memory.kv_cache_tokens, 1), 1));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kContextFull);
}

TEST_F(EngineMemoryTest, TooLittleForAnySequenceIsAnError) {
  SmallBackend backend(800'000);
  const auto engine = make(backend, options_);
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.error().code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(engine.error().message, HasSubstr("the KV cache has"));
}

}  // namespace
}  // namespace gossamer::engine
