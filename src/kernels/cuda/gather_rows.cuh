#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

/// out[i] = x[rows[i]].
struct GatherRowsArgs {
  const float* x;            // [.., num_columns]
  const std::int32_t* rows;  // [num_rows]
  float* out;                // [num_rows, num_columns]
  int num_rows;
  int num_columns;
};

void launch_gather_rows(const GatherRowsArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
