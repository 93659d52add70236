#pragma once

namespace gossamer::kernels::cuda::ptx {

/// A barrier of num_threads threads of the block, whole warps. Barrier 0 is __syncthreads().
__device__ __forceinline__ void named_barrier(int id, int num_threads) {
  // A warp's threads must come together, also when one of them was waiting for something.
  __syncwarp();
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(num_threads) : "memory");
}

}  // namespace gossamer::kernels::cuda::ptx
