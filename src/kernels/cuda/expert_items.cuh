#pragma once

// The work of the kernels that stream whole rows of experts: a list of (tile, 16 rows), by tile, of
// which a block has a stretch.

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/expert_gemm.cuh"
#include "kernels/cuda/expert_plan.h"
#include "kernels/cuda/gemm_plan.h"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/packed_weights.h"

namespace gossamer::kernels::cuda {

inline constexpr int kExpertItemRows = 16;  // two records

/// What every item needs of the shapes.
struct ExpertExtents {
  int units;      // of 64 columns
  int row_items;  // of kExpertItemRows rows
  int record_bytes;
  std::int64_t expert_bytes;

  __device__ explicit ExpertExtents(const ExpertGemmArgs& args)
      : units(static_cast<int>(fp4_units_per_row(args.columns))),
        row_items(args.rows / kExpertItemRows),
        record_bytes(static_cast<int>(fp4_record_bytes(args.columns))),
        expert_bytes(packed_fp4_bytes(args.rows, args.columns)) {}

  __device__ int item_bytes() const { return 2 * record_bytes; }
};

/// A block's stretch of the list.
struct ExpertStretch {
  int begin;
  int end;

  __device__ ExpertStretch(const ExpertGemmArgs& args, const ExpertExtents& extents) {
    const std::int64_t num_items = std::int64_t{*args.groups.num_tiles} * extents.row_items;
    begin = static_cast<int>(blockIdx.x * num_items / gridDim.x);
    end = static_cast<int>((blockIdx.x + 1) * num_items / gridDim.x);
  }
};

/// A kernel over the list, a block a multiprocessor. `name` is for errors.
inline void launch_over_items(
    void (*kernel)(ExpertGemmArgs),
    const char* name,
    const ExpertGemmArgs& args,
    int num_threads,
    std::int64_t shared_bytes,
    const GemmDevice& device,
    cudaStream_t stream
) {
  const auto dynamic_bytes = static_cast<int>(shared_bytes);
  check(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, dynamic_bytes),
      "cudaFuncSetAttribute"
  );
  const std::int64_t most_items =
      max_expert_tiles(args.num_pairs, args.num_experts) * (args.rows / kExpertItemRows);
  const auto num_blocks =
      static_cast<unsigned>(std::min<std::int64_t>(most_items, device.num_multiprocessors));
  kernel<<<num_blocks, num_threads, dynamic_bytes, stream>>>(args);
  check(cudaGetLastError(), name);
}

}  // namespace gossamer::kernels::cuda
