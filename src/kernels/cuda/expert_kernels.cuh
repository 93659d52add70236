#pragma once

#include "kernels/cuda/expert_gemm.cuh"
#include "kernels/cuda/expert_plan.h"
#include "kernels/cuda/gemm_plan.h"

namespace gossamer::kernels::cuda {

// The kernels behind the launchers of expert_groups.cuh and expert_gemm.cuh. `tile_pairs` is the
// most pairs of a tile, the same for grouping and products: expert_tile_pairs() of the step, and
// kExpertStreamPairs where it is not given.

void launch_group_by_expert(const GroupByExpertArgs& args, int tile_pairs, cudaStream_t stream);
void launch_expert_gemm_ring(
    const ExpertGemmArgs& args, const GemmDevice& device, cudaStream_t stream
);
void launch_expert_gemm_stream(
    const ExpertGemmArgs& args, const GemmDevice& device, cudaStream_t stream
);
void launch_expert_gemm_tiled(
    const ExpertGemmArgs& args, int tile_pairs, const GemmDevice& device, cudaStream_t stream
);

/// One of them; it must be one that can_run() on the device.
void launch_expert_gemm(
    ExpertKernel kernel,
    const ExpertGemmArgs& args,
    int tile_pairs,
    const GemmDevice& device,
    cudaStream_t stream
);

}  // namespace gossamer::kernels::cuda
