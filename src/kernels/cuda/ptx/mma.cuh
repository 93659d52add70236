#pragma once

#include <cstdint>

namespace gossamer::kernels::cuda::ptx {

/// c += A B, bf16 in, f32 out: A [16, 16] row-major, B [16, 8] column-major, in the registers of a
/// warp. With lane = 4g + t: a0, a1 are rows g, g + 8 of columns 2t, 2t + 1; a2, a3 the same of
/// columns 2t + 8, 2t + 9; b0, b1 are column g of rows 2t, 2t + 1 and 2t + 8, 2t + 9; c is
/// (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
__device__ inline void mma_bf16(
    float (&c)[4],
    std::uint32_t a0,
    std::uint32_t a1,
    std::uint32_t a2,
    std::uint32_t a3,
    std::uint32_t b0,
    std::uint32_t b1
) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1)
  );
}

}  // namespace gossamer::kernels::cuda::ptx
