#pragma once

#include <cstddef>

#include "base/result.h"

namespace gossamer::kernels::cuda {

/// The rate at which a device reads its own memory, in bytes a second: the median of `passes` over
/// a buffer of size_bytes, which should be many times the device's cache. What a kernel that is
/// bound by memory can reach. kOutOfMemory when the buffer does not fit; kUnsupported in a build
/// without CUDA. A device that fails throws std::runtime_error.
Result<double> measure_read_bandwidth(int device, std::size_t size_bytes, int passes);

}  // namespace gossamer::kernels::cuda
