#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace gossamer::kernels::cuda {

/// A matrix of bf16, as released, into the units of packed_weights.h. A piece of whole 16 rows of a
/// larger matrix is a matrix of its own: it lies at packed_bf16_bytes(first row, columns).
struct PackBf16Args {
  const std::uint16_t* rows;  // BF16 [num_rows, num_columns]
  std::byte* packed;          // packed_bf16_bytes(num_rows, num_columns), 16-byte aligned
  std::int64_t num_rows;
  std::int64_t num_columns;
};

/// A stack of matrices of MXFP4, as released, into the records of packed_weights.h. A piece of
/// whole 16 rows of one matrix is a stack of one: it lies at packed_fp4_bytes(first row, columns).
struct PackFp4Args {
  const std::uint8_t* blocks;  // U8 [num_matrices, num_rows, num_columns / 32, 16]
  const std::uint8_t* scales;  // U8 [num_matrices, num_rows, num_columns / 32]
  std::byte* packed;  // [num_matrices] of packed_fp4_bytes(num_rows, num_columns), 16-byte aligned
  std::int64_t num_matrices;
  std::int64_t num_rows;
  std::int64_t num_columns;  // a multiple of 32
};

void launch_pack_bf16(const PackBf16Args& args, cudaStream_t stream);
void launch_pack_fp4(const PackFp4Args& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
