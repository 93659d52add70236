#pragma once

#include "kernels/cpu/matmul.h"

namespace gossamer::kernels::cpu {

/// As the functions of matmul.h, to the last bit, and faster from about eight activation rows on.
/// scratch holds panel_scratch_floats() floats of the calling thread.
void panel_matmul_bf16(
    const Bf16Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
);
void panel_matmul_mxfp4(
    const Mxfp4Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
);

std::size_t panel_scratch_floats();

}  // namespace gossamer::kernels::cpu
