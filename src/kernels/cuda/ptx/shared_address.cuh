#pragma once

#include <cstdint>

namespace gossamer::kernels::cuda::ptx {

/// The address of shared memory as PTX wants it.
__device__ __forceinline__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

}  // namespace gossamer::kernels::cuda::ptx
