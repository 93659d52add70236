// x[t] += sum_j weights[t, j] * y[t * experts_per_token + j]. Block (t, c) has a stretch of columns
// of row t, a thread four of them, or one. Bound by memory.

#include "kernels/cuda/combine_experts.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/row_access.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 128;

template <int kWidth>
__global__ void __launch_bounds__(kThreads) combine_experts_kernel(CombineExpertsArgs args) {
  const int column = static_cast<int>(blockIdx.y * kThreads + threadIdx.x) * kWidth;
  if (column >= args.hidden_size) return;
  const std::int64_t token = blockIdx.x;
  float* x = args.x + token * args.hidden_size + column;
  float sums[kWidth] = {};
  for (int j = 0; j < args.experts_per_token; ++j) {
    const std::int64_t row = token * args.experts_per_token + j;
    float values[kWidth];
    load_floats(args.y + row * args.hidden_size + column, values);
    for (int k = 0; k < kWidth; ++k) sums[k] = fmaf(args.weights[row], values[k], sums[k]);
  }
  float values[kWidth];
  load_floats(x, values);
  for (int k = 0; k < kWidth; ++k) values[k] += sums[k];
  store_floats(values, x);
}

}  // namespace

void launch_combine_experts(const CombineExpertsArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return;
  const int width = vector_width(args.hidden_size);
  const int per_block = kThreads * width;
  const dim3 grid(
      static_cast<unsigned>(args.num_tokens),
      static_cast<unsigned>((args.hidden_size + per_block - 1) / per_block)
  );
  const auto kernel = width == 1 ? combine_experts_kernel<1> : combine_experts_kernel<kVectorWidth>;
  kernel<<<grid, kThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "combine_experts_kernel");
}

}  // namespace gossamer::kernels::cuda
