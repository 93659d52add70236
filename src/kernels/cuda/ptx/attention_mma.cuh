#pragma once

#include <cstdint>

namespace gossamer::kernels::cuda::ptx {

/// d += a b on the warp's tensor cores: mma.m16n8k16, BF16 operands, F32 accumulators. Lane 4 g + t
/// holds rows g and g + 8 of a and d, column g of b.
__device__ __forceinline__ void mma_bf16(
    float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1
) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// The transpose of an 8 x 8 matrix of 16-bit values that is spread over the warp as an mma
/// operand: lane 4 g + t gives columns 2 t and 2 t + 1 of row g, and gets them of column g's
/// transpose.
__device__ __forceinline__ std::uint32_t transpose_8x8(std::uint32_t fragment) {
  std::uint32_t transposed;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(transposed) : "r"(fragment));
  return transposed;
}

/// Loads four 8 x 8 matrices of 16-bit values from shared memory. Lane l gives the address of row
/// l % 8 of matrix l / 8, which is 16 bytes.
__device__ __forceinline__ void load_matrices(
    std::uint32_t (&matrices)[4], std::uint32_t shared_address
) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(shared_address)
               : "memory");
}

/// Starts a copy of 16 bytes to shared memory: `valid_bytes` from `global`, then zeros.
__device__ __forceinline__ void copy_16_async(
    std::uint32_t shared_address, const void* global, int valid_bytes
) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address),
               "l"(global),
               "r"(valid_bytes)
               : "memory");
}

/// Makes a group of the copies that this thread started since the last call.
__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until at most `kPending` of this thread's groups are still under way.
template <int kPending>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// 2^x, within 2 units in the last place; 0 for minus infinity.
__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace gossamer::kernels::cuda::ptx
