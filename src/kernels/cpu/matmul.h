#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace gossamer::kernels::cpu {

using tensor::BFloat16;

/// Whether a product replaces what is in y or is added to it.
enum class Store : std::uint8_t { kAssign, kAdd };

/// Activation rows of a product, gathered by pointer: x[t] holds `columns` floats, y[t] one float a
/// weight row.
struct Rows {
  const float* const* x;  // [count]
  float* const* y;        // [count]
  std::size_t count;
};

/// Rows [begin, end) of a weight matrix.
struct RowRange {
  std::size_t begin;
  std::size_t end;
};

struct Bf16Matrix {
  const BFloat16* weight;  // [rows, columns]
  const BFloat16* bias;    // [rows], or null
  std::size_t columns;
};

struct Mxfp4Matrix {
  const std::uint8_t* blocks;  // [rows, columns / 32, 16]
  const std::uint8_t* scales;  // [rows, columns / 32]
  const BFloat16* bias;        // [rows], or null
  std::size_t columns;         // a multiple of 32
};

/// y[t][r] (+)= dot(W[r], x[t]) + bias[r] for the weight rows in range. scratch holds
/// panel_scratch_floats() floats of the calling thread.
///
/// Each output is one sum of vector FMAs in column order, whatever the number of activation rows
/// and however the range was cut: results do not depend on batch, chunking or threads, to the last
/// bit.
void matmul_bf16(
    const Bf16Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
);

/// As matmul_bf16, for packed MXFP4 weights. x must be in split order (see split_blocks).
void matmul_mxfp4(
    const Mxfp4Matrix& matrix, RowRange range, const Rows& rows, Store store, float* scratch
);

/// Reorders every 32 values from (0, 1, 2, …) to split order (0, 2, …, 30, 1, 3, …, 31): a block's
/// low nibbles, then its high ones, so that packed weights meet activations without a shuffle. size
/// is a multiple of 32.
void split_blocks(const float* x, std::size_t size, float* out);

/// The name of the instruction set in use: "AVX-512", "AVX2", "NEON", "scalar", ….
const char* isa_name();

}  // namespace gossamer::kernels::cpu
