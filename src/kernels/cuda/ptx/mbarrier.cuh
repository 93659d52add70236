#pragma once

// Barriers in shared memory that count arrivals and bytes (sm_90 and newer; empty bodies
// elsewhere).

#include <cstdint>

#include "kernels/cuda/ptx/shared_address.cuh"

namespace gossamer::kernels::cuda::ptx {

__device__ inline void mbarrier_init(std::uint32_t barrier, std::uint32_t num_arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(num_arrivals));
}

/// Makes initialised barriers visible to the copy engine.
__device__ inline void fence_mbarrier_init() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

__device__ inline void mbarrier_arrive(std::uint32_t barrier) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
#endif
}

/// Arrives, and expects so many bytes of bulk copies before the phase ends.
__device__ inline void mbarrier_arrive_expect(std::uint32_t barrier, std::uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
               "r"(bytes)
               : "memory");
#endif
}

/// Waits until the phase of this parity has ended.
__device__ inline void mbarrier_wait(std::uint32_t barrier, std::uint32_t parity) {
#if __CUDA_ARCH__ >= 900
  std::uint32_t done = 0;
  while (done == 0) {
    asm volatile(
        "{\n"
        ".reg .pred p;\n"
        "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n"
        "}"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory"
    );
  }
#endif
}

}  // namespace gossamer::kernels::cuda::ptx
