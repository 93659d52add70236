#include "kernels/profiling_backend.h"

#include <gtest/gtest.h>

#include "kernels/cpu/cpu_backend.h"
#include "tests/kernels/random_tensors.h"

namespace gossamer::kernels {
namespace {

/// Counts the steps that it runs as a whole.
class CountingBackend final : public cpu::CpuBackend {
 public:
  CountingBackend() : CpuBackend(1) {}

  void run(const Step& step, const std::function<void()>& ops) override {
    ++num_runs_;
    CpuBackend::run(step, ops);
  }
  int num_runs() const { return num_runs_; }

 private:
  int num_runs_ = 0;
};

class ProfilingBackendTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(backend_
                    .reserve(
                        {.max_tokens = 4,
                         .max_sequences = 1,
                         .max_context = 16,
                         .hidden_size = 64,
                         .intermediate_size = 64,
                         .num_attention_heads = 1,
                         .num_key_value_heads = 1,
                         .head_dim = 64,
                         .num_experts = 8,
                         .experts_per_token = 2}
                    )
                    .ok());
  }

  /// y = W x + b twice, and x += y.
  void step() {
    backend_.run({}, [&] {
      backend_.linear(x_, layer_, y_);
      backend_.linear(x_, layer_, y_);
      backend_.add(y_, x_);
    });
  }

  RandomTensors random_{3};
  CountingBackend inner_;
  ProfilingBackend backend_{inner_};
  Linear layer_ = random_.linear(64, 64);
  MutableView x_ = random_.activations({4, 64}, 1).second;
  MutableView y_ = random_.make(DType::kF32, {4, 64});
};

TEST_F(ProfilingBackendTest, CountsCallsAndBytesOfEachOperation) {
  backend_.start();
  step();
  step();
  const std::vector<OpProfile> ops = backend_.stop();
  ASSERT_EQ(ops.size(), 2U);
  EXPECT_EQ(ops[0].name, "linear");
  EXPECT_EQ(ops[0].num_calls, 4);
  EXPECT_EQ(ops[0].bytes, 4.0 * (2 * 4 * 64 * 4 + 64 * 64 * 2 + 64 * 2));
  EXPECT_GT(ops[0].seconds, 0);
  EXPECT_EQ(ops[1].name, "add");
  EXPECT_EQ(ops[1].num_calls, 2);
  EXPECT_EQ(ops[1].bytes, 2.0 * 3 * 4 * 64 * 4);
}

TEST_F(ProfilingBackendTest, StepsAreTheInnerBackendsUnlessTheyAreTimed) {
  step();
  EXPECT_EQ(inner_.num_runs(), 1);
  backend_.start();
  step();
  EXPECT_EQ(inner_.num_runs(), 1);
  EXPECT_EQ(backend_.stop().size(), 2U);
  step();
  EXPECT_EQ(inner_.num_runs(), 2);
  backend_.start();
  EXPECT_TRUE(backend_.stop().empty());
}

TEST_F(ProfilingBackendTest, ResultsAreTheInnerBackends) {
  const auto expected = random_.make(DType::kF32, {4, 64});
  inner_.linear(x_, layer_, expected);
  backend_.start();
  backend_.linear(x_, layer_, y_);
  EXPECT_EQ(relative_error(y_, expected), 0);
  EXPECT_EQ(backend_.name(), "cpu");
  EXPECT_EQ(backend_.operand_dtype(), DType::kF32);
  EXPECT_EQ(backend_.kv_dtype(), DType::kF32);
}

}  // namespace
}  // namespace gossamer::kernels
