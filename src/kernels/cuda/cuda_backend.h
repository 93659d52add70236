#pragma once

#include <memory>

#include "base/result.h"
#include "kernels/backend.h"

namespace gossamer::kernels::cuda {

struct CudaOptions {
  int device = 0;  // an ordinal of list_cuda_devices()
};

/// The model on an NVIDIA device of compute capability 8.0 or more: float residual stream, bf16
/// operands and KV cache, float accumulation, weights packed for its tensor cores. Results do not
/// vary from run to run, to the last bit; they do depend on the extents of a step, by rounding.
///
/// kInvalidArgument names the devices that there are; kUnsupported and kNotFound say why there is
/// none, as list_cuda_devices() does.
Result<std::unique_ptr<Backend>> create_cuda_backend(const CudaOptions& options);

}  // namespace gossamer::kernels::cuda
