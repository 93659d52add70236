// out[i] = x[rows[i]]. A block copies a row. Bound by memory.

#include "kernels/cuda/gather_rows.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/row_access.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 256;

template <int kWidth>
__global__ void __launch_bounds__(kThreads) gather_rows_kernel(GatherRowsArgs args) {
  const float* from = args.x + std::int64_t{args.rows[blockIdx.x]} * args.num_columns;
  float* to = args.out + std::int64_t{blockIdx.x} * args.num_columns;
  for (int i = static_cast<int>(threadIdx.x) * kWidth; i < args.num_columns;
       i += kThreads * kWidth) {
    float values[kWidth];
    load_floats(from + i, values);
    store_floats(values, to + i);
  }
}

}  // namespace

void launch_gather_rows(const GatherRowsArgs& args, cudaStream_t stream) {
  if (args.num_rows == 0) return;
  const auto kernel = vector_width(args.num_columns) == 1 ? gather_rows_kernel<1>
                                                          : gather_rows_kernel<kVectorWidth>;
  kernel<<<static_cast<unsigned>(args.num_rows), kThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "gather_rows_kernel");
}

}  // namespace gossamer::kernels::cuda
