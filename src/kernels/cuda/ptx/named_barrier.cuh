#pragma once

namespace gossamer::kernels::cuda::ptx {

/// A barrier of num_threads threads of the block, whole warps. Barrier 0 is __syncthreads().
__device__ __forceinline__ void named_barrier(int id, int num_threads) {
  // A warp's threads must come together, also when one of them was waiting for something.
  __syncwarp();
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(num_threads) : "memory");
}

/// The same, and whether the condition holds for all of the threads.
__device__ __forceinline__ bool all_of(int id, int num_threads, bool condition) {
  __syncwarp();
  unsigned all;
  asm volatile(
      "{\n"
      ".reg .pred mine, ours;\n"
      "setp.ne.u32 mine, %3, 0;\n"
      "bar.red.and.pred ours, %1, %2, mine;\n"
      "selp.u32 %0, 1, 0, ours;\n"
      "}"
      : "=r"(all)
      : "r"(id), "r"(num_threads), "r"(static_cast<unsigned>(condition))
      : "memory"
  );
  return all != 0;
}

}  // namespace gossamer::kernels::cuda::ptx
