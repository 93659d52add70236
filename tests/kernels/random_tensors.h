#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "kernels/weights.h"
#include "tensor/buffer.h"
#include "tensor/view.h"

namespace gossamer::kernels {

/// Random tensors of a test, which own their memory for as long as this object lives.
class RandomTensors {
 public:
  explicit RandomTensors(std::uint64_t seed) : random_(seed) {}

  std::mt19937_64& random() { return random_; }

  tensor::MutableView make(tensor::DType dtype, tensor::Shape shape) {
    const auto bytes = static_cast<std::size_t>(shape.num_elements()) * tensor::size_of(dtype);
    auto buffer = tensor::HostBuffer::allocate(bytes);
    GOSSAMER_CHECK(buffer.ok());
    buffers_.push_back(std::move(buffer).value());
    return buffers_.back()->view(0, dtype, shape);
  }

  tensor::View bf16(tensor::Shape shape, float deviation) {
    const auto view = make(tensor::DType::kBF16, shape);
    std::normal_distribution<float> normal(0, deviation);
    for (std::int64_t i = 0; i < shape.num_elements(); ++i) {
      view.as<tensor::BFloat16>()[i] = tensor::BFloat16::from_float(normal(random_));
    }
    return view;
  }

  /// The same normal values as double and as float.
  std::pair<tensor::MutableView, tensor::MutableView> activations(
      tensor::Shape shape, float deviation
  ) {
    const auto doubles = make(tensor::DType::kF64, shape);
    const auto floats = make(tensor::DType::kF32, shape);
    std::normal_distribution<float> normal(0, deviation);
    for (std::int64_t i = 0; i < shape.num_elements(); ++i) {
      floats.as<float>()[i] = normal(random_);
      doubles.as<double>()[i] = static_cast<double>(floats.as<float>()[i]);
    }
    return {doubles, floats};
  }

  /// These values as an I32 view.
  tensor::MutableView indices(std::span<const std::int32_t> values) {
    const auto view = make(tensor::DType::kI32, {static_cast<std::int64_t>(values.size())});
    std::copy(values.begin(), values.end(), view.as<std::int32_t>());
    return view;
  }

  Linear linear(std::int64_t out, std::int64_t in) {
    return {bf16({out, in}, 0.1F), bf16({out}, 0.1F)};
  }

  ExpertLinear experts(std::int64_t num_experts, std::int64_t out, std::int64_t in) {
    const auto blocks = make(tensor::DType::kU8, {num_experts, out, in / 32, 16});
    const auto scales = make(tensor::DType::kU8, {num_experts, out, in / 32});
    std::uniform_int_distribution<int> byte(0, 255);
    std::uniform_int_distribution<int> scale(120, 126);
    for (std::size_t i = 0; i < blocks.size_bytes(); ++i) {
      blocks.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(byte(random_));
    }
    for (std::size_t i = 0; i < scales.size_bytes(); ++i) {
      scales.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(scale(random_));
    }
    return {{blocks, scales}, bf16({num_experts, out}, 0.1F)};
  }

 private:
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<tensor::Buffer>> buffers_;
};

/// ||values - expected|| / ||expected||; NaN anywhere gives NaN.
inline double relative_error(tensor::View values, tensor::View expected) {
  double difference = 0;
  double norm = 0;
  for (std::int64_t i = 0; i < expected.shape().num_elements(); ++i) {
    const double e = expected.dtype() == tensor::DType::kF64
                         ? expected.as<double>()[i]
                         : static_cast<double>(expected.as<float>()[i]);
    const double d = static_cast<double>(values.as<float>()[i]) - e;
    difference += d * d;
    norm += e * e;
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

}  // namespace gossamer::kernels
