#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace gossamer::kernels::cuda {

/// What a product does with its result.
enum class GemmOutput {
  kBf16,    ///< y = W x + b, rounded to bf16
  kF32,     ///< y = W x + b
  kAddF32,  ///< y += W x + b
};

/// y[t] = W x[t] + b, accumulated in float. Every output is one chain of operations in one order
/// for given extents, so that it does not vary from run to run.
struct GemmArgs {
  const __nv_bfloat16* x;     // [num_tokens, columns], rows x_stride apart, 16-byte aligned
  const std::byte* weight;    // packed bf16 [rows, columns], see packed_weights.h
  const __nv_bfloat16* bias;  // [rows], or null
  void* y;                // BF16 or F32 [num_tokens, rows], rows y_stride apart, 16-byte aligned
  std::byte* scratch;     // gemm_scratch_bytes(), zeroed before its first use
  std::int64_t x_stride;  // in elements, a multiple of 8
  std::int64_t y_stride;  // in elements, a multiple of 4
  int num_tokens;
  int rows;     // a multiple of 8
  int columns;  // a multiple of 32
  GemmOutput output;
};

/// The scratch of a product of any extents. Products of one stream share it.
std::size_t gemm_scratch_bytes();

void launch_gemm(const GemmArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
