#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/reference/reference_backend.h"
#include "tests/kernels/cuda/device_tensors.cuh"

namespace gossamer::kernels::cuda {

// Relative L2. Rounding to bf16 errs evenly within 2^-8 of the power of two below a value, on
// average by 2^-7 / sqrt(12) of it, and so by 1.5e-3 of the norm, or somewhat more of few values'.
// Several roundings in a row add as squares. Sums in float of exact products of bf16 err far less.
inline constexpr double kFloat = 6e-6;
inline constexpr double kOneRounding = 2.5e-3;
inline constexpr double kSomeRoundings = 5e-3;

/// The CUDA backend and the reference, reserved for the same steps; skips where there is no device.
class CudaBackendFixture : public testing::Test {
 protected:
  static constexpr StepLimits kLimits{
      .max_tokens = 300,
      .max_sequences = 16,
      .max_logit_rows = 300,
      .max_context = 600,
      .vocab_size = 4160,
      .num_hidden_layers = 1,
      .hidden_size = 2880,
      .intermediate_size = 2880,
      .num_attention_heads = 64,
      .num_key_value_heads = 8,
      .head_dim = 64,
      .num_experts = 32,
      .experts_per_token = 4,
  };

  void SetUp() override {
    auto backend = create_cuda_backend({});
    if (!backend.ok()) GTEST_SKIP() << backend.error().message;
    backend_ = std::move(backend).value();
    tensors_.emplace(*backend_, 7);
    ASSERT_TRUE(backend_->reserve(kLimits).ok());
    ASSERT_TRUE(reference_.reserve(kLimits).ok());
  }

  Twin normal(DType dtype, tensor::Shape shape, float deviation = 1) {
    return tensors_->normal(dtype, shape, deviation);
  }
  Twin output(DType dtype, tensor::Shape shape) { return tensors_->output(dtype, shape); }
  double error(const Twin& twin) { return tensors_->error(twin); }
  RandomTensors& random() { return tensors_->random(); }

  std::unique_ptr<Backend> backend_;
  std::optional<DeviceTensors> tensors_;
  reference::ReferenceBackend reference_;
};

}  // namespace gossamer::kernels::cuda
