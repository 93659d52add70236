#pragma once

// How a block's warps share its registers (sm_90a; empty bodies elsewhere). All four warps of an
// aligned group of four must call alike.

namespace gossamer::kernels::cuda::ptx {

/// Leaves a warp `kCount` registers a thread, a multiple of 8, and the others to who grows.
template <int kCount>
__device__ inline void shrink_registers() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
#endif
}

/// Waits until there are `kCount` registers a thread, a multiple of 8.
template <int kCount>
__device__ inline void grow_registers() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
#endif
}

}  // namespace gossamer::kernels::cuda::ptx
