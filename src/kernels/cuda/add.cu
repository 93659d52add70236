// x += y. A thread adds one element, or four. Bound by memory.

#include "kernels/cuda/add.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/row_access.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 256;

template <int kWidth>
__global__ void __launch_bounds__(kThreads) add_kernel(AddArgs args) {
  const std::int64_t i = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kWidth;
  if (i >= args.size) return;
  float x[kWidth];
  float y[kWidth];
  load_floats(args.x + i, x);
  load_floats(args.y + i, y);
  for (int k = 0; k < kWidth; ++k) x[k] += y[k];
  store_floats(x, args.x + i);
}

}  // namespace

void launch_add(const AddArgs& args, cudaStream_t stream) {
  if (args.size == 0) return;
  const std::int64_t per_block = std::int64_t{kThreads} * vector_width(args.size);
  const auto num_blocks = static_cast<unsigned>((args.size + per_block - 1) / per_block);
  const auto kernel = vector_width(args.size) == 1 ? add_kernel<1> : add_kernel<kVectorWidth>;
  kernel<<<num_blocks, kThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "add_kernel");
}

}  // namespace gossamer::kernels::cuda
