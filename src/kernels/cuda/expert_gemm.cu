// A product over experts on the kernel that its step and the device call for.

#include "kernels/cuda/expert_gemm.cuh"
#include "kernels/cuda/expert_kernels.cuh"
#include "kernels/cuda/expert_plan.h"
#include "kernels/cuda/gemm_kernels.cuh"

namespace gossamer::kernels::cuda {

void launch_expert_gemm(const ExpertGemmArgs& args, cudaStream_t stream) {
  if (args.num_pairs == 0) return;
  const GemmDevice device = gemm_device();
  const int tile_pairs = expert_tile_pairs(args.num_pairs, args.num_experts);
  if (can_run(ExpertKernel::kRing, tile_pairs, args.columns, device)) {
    launch_expert_gemm_ring(args, device, stream);
  } else if (can_run(ExpertKernel::kStream, tile_pairs, args.columns, device)) {
    launch_expert_gemm_stream(args, device, stream);
  } else {
    launch_expert_gemm_tiled(args, tile_pairs, device, stream);
  }
}

}  // namespace gossamer::kernels::cuda
