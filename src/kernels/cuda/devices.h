#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace gossamer::kernels::cuda {

/// A CUDA device of this machine, as its driver describes it.
struct CudaDevice {
  int ordinal;  ///< what cudaSetDevice takes
  std::string name;
  int compute_major;  ///< compute capability, e.g. 9.0 for Hopper
  int compute_minor;
  std::uint64_t memory_bytes;
};

/// The version of the CUDA toolkit that this program was built with, e.g. "13.0"; empty when it was
/// built without CUDA.
std::string cuda_version();

/// The CUDA devices of this machine, at least one. The error says why there is none: built without
/// CUDA, a driver older than the toolkit (kUnsupported); no driver, no device (kNotFound). Creates
/// no context on any device. Any thread.
Result<std::vector<CudaDevice>> list_cuda_devices();

}  // namespace gossamer::kernels::cuda
