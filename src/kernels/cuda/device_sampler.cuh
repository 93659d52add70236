#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <span>

#include "base/result.h"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/sample.cuh"
#include "kernels/sampling.h"
#include "tensor/view.h"

namespace gossamer::kernels::cuda {

struct DeviceSamplerLimits {
  int max_rows = 0;
  int vocab_size = 0;
  /// Of one row; a row with more must be sampled on the host.
  int max_adjustments = 4096;
};

/// Chooses tokens where the logits are: parameters go to the device, tokens and log-probabilities
/// come back. Holds all the memory that it needs. One thread at a time.
class DeviceSampler {
 public:
  /// On the current device. kOutOfMemory says what did not fit. vocab_size must be at most
  /// kMaxSampleVocab.
  static Result<std::unique_ptr<DeviceSampler>> create(const DeviceSamplerLimits& limits);

  /// Whether sample() can choose a row's token.
  bool can_sample(const SampleRow& row) const;

  /// Chooses a token for each row of logits, F32 [rows.size(), vocab_size] on the device, after
  /// what `stream` has still to do. Waits for the result. Throws std::runtime_error if the device
  /// fails.
  void sample(
      tensor::View logits,
      std::span<const SampleRow> rows,
      std::span<SampleResult> out,
      cudaStream_t stream
  );

  /// The kernels' arguments for these rows; brings to the device what they refer to. Valid until
  /// the next call.
  SampleKernelArgs stage(tensor::View logits, std::span<const SampleRow> rows, cudaStream_t stream);

 private:
  DeviceSampler(
      const DeviceSamplerLimits& limits,
      std::unique_ptr<DeviceBuffer> scratch,
      std::unique_ptr<DeviceBuffer> parameters,
      std::unique_ptr<PinnedBuffer> staging,
      std::unique_ptr<PinnedBuffer> outputs
  );

  DeviceSamplerLimits limits_;
  std::unique_ptr<DeviceBuffer> scratch_;
  std::unique_ptr<DeviceBuffer> parameters_;  // as in staging_
  std::unique_ptr<PinnedBuffer> staging_;
  std::unique_ptr<PinnedBuffer> outputs_;  // SampleOutput [max_rows], written by the device
};

}  // namespace gossamer::kernels::cuda
