#pragma once

#include <cstdint>

#include "kernels/cuda/ptx/shared_address.cuh"

namespace gossamer::kernels::cuda::ptx {

/// Four 8 x 8 matrices of 16-bit values. Lane l gives the address of row l % 8, 16 bytes, of matrix
/// l / 8; lane 4g + t gets columns 2t and 2t + 1 of row g of each.
__device__ __forceinline__ void load_matrices(
    std::uint32_t (&matrices)[4], std::uint32_t row_address
) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(row_address)
               : "memory");
}

/// The transpose of an 8 x 8 matrix of 16-bit values that is spread over the warp as an mma
/// operand: lane 4g + t gives columns 2t and 2t + 1 of row g, and gets them of column g.
__device__ __forceinline__ std::uint32_t transpose_8x8(std::uint32_t fragment) {
  std::uint32_t transposed;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(transposed) : "r"(fragment));
  return transposed;
}

}  // namespace gossamer::kernels::cuda::ptx
