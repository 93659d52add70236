#pragma once

// The bulk copy engine (sm_90 and newer; empty bodies elsewhere).

#include <cstdint>

namespace gossamer::kernels::cuda::ptx {

/// A cache policy for data that is read once: first to be evicted from L2.
__device__ inline std::uint64_t evict_first_policy() {
  std::uint64_t policy = 0;
#if __CUDA_ARCH__ >= 900
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
#endif
  return policy;
}

/// Starts a copy from global to shared memory, which reports its bytes to an mbarrier. Addresses
/// and size are multiples of 16.
__device__ inline void bulk_copy(
    std::uint32_t to,
    const void* from,
    std::uint32_t bytes,
    std::uint32_t barrier,
    std::uint64_t policy
) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1], %2, [%3], %4;" ::"r"(to),
      "l"(from),
      "r"(bytes),
      "r"(barrier),
      "l"(policy)
      : "memory"
  );
#endif
}

/// Brings the line of an address to L2.
__device__ inline void prefetch_l2(const void* address) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
}

}  // namespace gossamer::kernels::cuda::ptx
