#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/expert_groups.cuh"

namespace gossamer::kernels::cuda {

/// What a product over experts does with its result.
enum class ExpertGemmOutput {
  kF32,     ///< y[p] = W_e x + b_e: F32 [num_pairs, rows]
  kSwiglu,  ///< y[p, k] = u sigmoid(1.702 u) (v + 1): BF16 [num_pairs, rows / 2], where
            ///< u = min(z[2k], limit), v = clamp(z[2k + 1], -limit, limit), z = W_e x + b_e
};

/// The product of each pair p with its expert e = expert_ids[p]; its x is row p / pairs_per_row.
/// Accumulated in float; does not vary from run to run.
struct ExpertGemmArgs {
  const __nv_bfloat16* x;     // [num_pairs / pairs_per_row, columns], 16-byte aligned
  const std::byte* weight;    // packed MXFP4 [num_experts, rows, columns], see packed_weights.h
  const __nv_bfloat16* bias;  // [num_experts, rows]
  ExpertGroups groups;        // of the step, by launch_group_by_expert
  void* y;                    // see ExpertGemmOutput, in the order of p
  int num_pairs;
  int pairs_per_row;
  int num_experts;  // as for launch_group_by_expert
  int rows;         // a multiple of 16
  int columns;      // a multiple of 32
  ExpertGemmOutput output;
  float swiglu_limit;
};

void launch_expert_gemm(const ExpertGemmArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
