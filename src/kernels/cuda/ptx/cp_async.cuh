#pragma once

#include <cstdint>

namespace gossamer::kernels::cuda::ptx {

/// Starts a copy of 16 bytes to shared memory, past L1.
__device__ __forceinline__ void copy_async(std::uint32_t to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}

/// Starts a copy of `valid_bytes`, and writes zeros behind them, up to 16 bytes.
__device__ __forceinline__ void copy_async(
    std::uint32_t to, const void* from, std::uint32_t valid_bytes
) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to),
               "l"(from),
               "r"(valid_bytes)
               : "memory");
}

/// Makes a group of the copies that this thread has started since the last call.
__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until at most kPending of this thread's groups are under way.
template <int kPending>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace gossamer::kernels::cuda::ptx
