// A product over experts on the kernel that its step and the device call for.

#include "kernels/cuda/expert_gemm.cuh"
#include "kernels/cuda/expert_kernels.cuh"
#include "kernels/cuda/expert_plan.h"
#include "kernels/cuda/gemm_kernels.cuh"

namespace gossamer::kernels::cuda {

namespace {

ExpertKernel plan_expert_gemm(
    const ExpertGemmArgs& args, int tile_pairs, const GemmDevice& device
) {
  for (const ExpertKernel kernel : {ExpertKernel::kRing, ExpertKernel::kStream}) {
    if (can_run(kernel, tile_pairs, args.columns, device)) return kernel;
  }
  return ExpertKernel::kTiled;
}

}  // namespace

void launch_expert_gemm(
    ExpertKernel kernel,
    const ExpertGemmArgs& args,
    int tile_pairs,
    const GemmDevice& device,
    cudaStream_t stream
) {
  switch (kernel) {
    case ExpertKernel::kRing:
      return launch_expert_gemm_ring(args, device, stream);
    case ExpertKernel::kStream:
      return launch_expert_gemm_stream(args, device, stream);
    case ExpertKernel::kTiled:
      return launch_expert_gemm_tiled(args, tile_pairs, device, stream);
  }
}

void launch_expert_gemm(const ExpertGemmArgs& args, cudaStream_t stream) {
  if (args.num_pairs == 0) return;
  const GemmDevice device = gemm_device();
  const int tile_pairs = expert_tile_pairs(args.num_pairs, args.num_experts);
  const ExpertKernel kernel = plan_expert_gemm(args, tile_pairs, device);
  launch_expert_gemm(kernel, args, tile_pairs, device, stream);
}

}  // namespace gossamer::kernels::cuda
