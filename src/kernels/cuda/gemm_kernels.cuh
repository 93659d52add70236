#pragma once

#include "kernels/cuda/gemm.cuh"
#include "kernels/cuda/gemm_plan.h"

namespace gossamer::kernels::cuda {

// The kernels behind launch_gemm(). `plan` must be one that fits the device.

void launch_gemm_stream(const GemmArgs& args, const GemmPlan& plan, cudaStream_t stream);
void launch_gemm_tiled(const GemmArgs& args, const GemmPlan& plan, cudaStream_t stream);

/// The current device.
GemmDevice gemm_device();

}  // namespace gossamer::kernels::cuda
