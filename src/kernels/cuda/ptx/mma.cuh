#pragma once

#include <cstdint>

namespace gossamer::kernels::cuda::ptx {

/// d += A B on the tensor cores: A [16, 16] row-major, B [16, 8] column-major, bf16, spread over
/// the warp. Lane 4g + t has a0: row g, columns 2t, 2t + 1; a1: row g + 8; a2, a3: the same 8
/// columns on; b0, b1: column g, rows 2t, 2t + 1 and 8 rows on; d: rows g, g, g + 8, g + 8, columns
/// 2t, 2t + 1, 2t, 2t + 1.
__device__ __forceinline__ void mma_bf16(
    float (&d)[4],
    std::uint32_t a0,
    std::uint32_t a1,
    std::uint32_t a2,
    std::uint32_t a3,
    std::uint32_t b0,
    std::uint32_t b1
) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void mma_bf16(
    float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1
) {
  mma_bf16(d, a[0], a[1], a[2], a[3], b0, b1);
}

}  // namespace gossamer::kernels::cuda::ptx
