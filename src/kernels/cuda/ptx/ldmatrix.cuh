#pragma once

#include <cstdint>

namespace gossamer::kernels::cuda::ptx {

/// The address of shared memory as PTX wants it.
__device__ __forceinline__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

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

}  // namespace gossamer::kernels::cuda::ptx
