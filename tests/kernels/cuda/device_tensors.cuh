#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/memory.cuh"
#include "tests/kernels/random_tensors.h"

namespace gossamer::kernels::cuda {

/// A tensor twice: as the device has it, and in double for the reference.
struct Twin {
  MutableView device;
  MutableView host;
};

/// Tensors in a backend's memory, and their twins. What is random is exact in both.
class DeviceTensors {
 public:
  DeviceTensors(Backend& backend, std::uint64_t seed) : backend_(backend), random_(seed) {}

  RandomTensors& random() { return random_; }

  MutableView upload(View host) {
    const MutableView device = make(host.dtype(), host.shape());
    check(
        cudaMemcpy(device.data(), host.data(), host.size_bytes(), cudaMemcpyHostToDevice),
        "cudaMemcpy"
    );
    return device;
  }

  View indices(std::span<const std::int32_t> values) { return upload(random_.indices(values)); }

  /// Normal values, rounded to the device's dtype, F32 or BF16.
  Twin normal(DType dtype, tensor::Shape shape, float deviation) {
    const auto [doubles, floats] = random_.activations(shape, deviation);
    if (dtype == DType::kF32) return {upload(floats), doubles};
    const MutableView rounded = random_.make(DType::kBF16, shape);
    for (std::int64_t i = 0; i < shape.num_elements(); ++i) {
      const auto value = tensor::BFloat16::from_float(floats.as<float>()[i]);
      rounded.as<tensor::BFloat16>()[i] = value;
      doubles.as<double>()[i] = static_cast<double>(value.to_float());
    }
    return {upload(rounded), doubles};
  }

  /// What an operation will write: NaN until then.
  Twin output(DType dtype, tensor::Shape shape) {
    const Twin twin{make(dtype, shape), random_.make(DType::kF64, shape)};
    check(cudaMemset(twin.device.data(), 0xFF, twin.device.size_bytes()), "cudaMemset");
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    return twin;
  }

  /// ||device - host|| / ||host||.
  double error(const Twin& twin) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(twin.host.shape()[0]));
    std::iota(rows.begin(), rows.end(), 0);
    return error_of_rows(twin, rows);
  }

  /// The same over some rows of the outermost axis.
  double error_of_rows(const Twin& twin, std::span<const std::int64_t> rows) {
    const View read = backend_.read(twin.device);
    double difference = 0;
    double norm = 0;
    for (const std::int64_t row : rows) {
      const View values = read.rows(row, row + 1);
      const View expected = View(twin.host).rows(row, row + 1);
      for (std::int64_t i = 0; i < expected.shape().num_elements(); ++i) {
        const double e = expected.as<double>()[i];
        difference += std::pow(value_at(values, i) - e, 2);
        norm += e * e;
      }
    }
    return std::sqrt(difference / (norm > 0 ? norm : 1));
  }

  /// Weights in the backend's memory, kept as long as this object.
  Weights load(const Weights& host) {
    auto loaded = backend_.load(host, {});
    GOSSAMER_CHECK(loaded.ok());
    for (auto& buffer : loaded->buffers) buffers_.push_back(std::move(buffer));
    return loaded->weights;
  }
  Linear load(const Linear& host) {
    Weights weights;
    weights.layers.emplace_back().router = host;
    return load(weights).layers[0].router;
  }
  ExpertLinear load(const ExpertLinear& host) {
    Weights weights;
    weights.layers.emplace_back().gate_up = host;
    return load(weights).layers[0].gate_up;
  }

 private:
  static double value_at(View view, std::int64_t i) {
    const float value = view.dtype() == DType::kBF16 ? view.as<tensor::BFloat16>()[i].to_float()
                                                     : view.as<float>()[i];
    return static_cast<double>(value);
  }

  MutableView make(DType dtype, tensor::Shape shape) {
    auto buffer =
        backend_.allocate(static_cast<std::size_t>(shape.num_elements()) * tensor::size_of(dtype));
    GOSSAMER_CHECK(buffer.ok());
    buffers_.push_back(std::move(buffer).value());
    return buffers_.back()->view(0, dtype, shape);
  }

  Backend& backend_;
  RandomTensors random_;
  std::vector<std::unique_ptr<tensor::Buffer>> buffers_;
};

}  // namespace gossamer::kernels::cuda
