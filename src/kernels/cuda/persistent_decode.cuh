#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/decode_step.cuh"
#include "kernels/cuda/memory.cuh"

namespace gossamer::kernels::cuda {

/// Steps of one token as one kernel (decode_step.cuh), with what it needs of a model in device
/// memory.
class PersistentDecode {
 public:
  /// For a model of these extents on the current device; nothing when it cannot run there.
  static Result<std::optional<PersistentDecode>> create(const StepLimits& limits, int device);

  /// Whether this step is one token of one sequence whose logits are wanted.
  static bool fits(const Step& step);

  /// Launches the step, which must fit.
  void run(const ForwardArgs& args, cudaStream_t stream);

 private:
  PersistentDecode() = default;

  void use(const ForwardArgs& args, cudaStream_t stream);

  DecodeShape shape_{};
  int num_blocks_ = 0;
  std::unique_ptr<DeviceBuffer> scratch_;
  std::unique_ptr<DeviceBuffer> layers_;       // [num_layers] DecodeLayer
  std::unique_ptr<DeviceBuffer> frequencies_;  // [32] double
  std::vector<DecodeLayer> host_layers_;       // what layers_ holds
};

}  // namespace gossamer::kernels::cuda
