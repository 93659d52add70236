#pragma once

// Synchronisation between blocks of one grid through a counter in global memory, and between some of a
// block's warps.

#include <cstdint>

namespace gossamer::kernels::cuda::ptx {

/// Adds to a counter; what this thread's block did before its last barrier is visible to who acquires.
__device__ inline void add_release(unsigned* counter, unsigned value) {
  asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(counter), "r"(value) : "memory");
}

__device__ inline unsigned load_acquire(const unsigned* counter) {
  unsigned value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(counter) : "memory");
  return value;
}

__device__ inline unsigned add_acquire_release(unsigned* counter, unsigned value) {
  unsigned before;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(counter), "r"(value)
               : "memory");
  return before;
}

/// A barrier of num_threads threads of the block, whole warps; ids 1 to 15 are the caller's own.
__device__ inline void named_barrier(int id, int num_threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(num_threads) : "memory");
}

}  // namespace gossamer::kernels::cuda::ptx
