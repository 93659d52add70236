#pragma once

#include <cstddef>

#include "tensor/dtype.h"

namespace gossamer::kernels::cpu {

using tensor::BFloat16;

/// y = x / sqrt(mean(x^2) + eps) * scale, for one row of `size` floats.
void rms_norm_row(const float* x, const BFloat16* scale, double eps, std::size_t size, float* y);

/// One row of SwiGLU: x holds 2 * size floats, gate and linear part interleaved; y gets size
/// floats.
void swiglu_row(const float* x, float limit, std::size_t size, float* y);

/// x += weight * y, for one row of `size` floats.
void add_scaled_row(const float* y, float weight, std::size_t size, float* x);

/// Rotates the pairs (i, i + half) of one head in place.
void rotate_head(const float* cosines, const float* sines, std::size_t half, float* x);

/// Widens `size` bf16 values.
void widen_row(const BFloat16* x, std::size_t size, float* y);

}  // namespace gossamer::kernels::cpu
