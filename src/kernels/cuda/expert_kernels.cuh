#pragma once

#include "kernels/cuda/expert_gemm.cuh"
#include "kernels/cuda/gemm_plan.h"

namespace gossamer::kernels::cuda {

// The kernels behind launch_expert_gemm(). `tile_pairs` must be expert_tile_pairs() of the step.

void launch_expert_gemm_stream(
    const ExpertGemmArgs& args, int tile_pairs, const GemmDevice& device, cudaStream_t stream
);
void launch_expert_gemm_tiled(
    const ExpertGemmArgs& args, int tile_pairs, const GemmDevice& device, cudaStream_t stream
);

}  // namespace gossamer::kernels::cuda
