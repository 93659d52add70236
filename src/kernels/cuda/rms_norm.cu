// y[t] = x[t] / sqrt(mean(x[t]^2) + eps) * scale. A block has a row, which it reads twice, the
// second time from the cache. Bound by memory where rows are many, by latency where they are few.

#include "base/check.h"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/rms_norm.cuh"
#include "kernels/cuda/row_access.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarpSize = 32;
constexpr int kWarps = kThreads / kWarpSize;
static_assert(kThreads % kWarpSize == 0 && kWarps <= kWarpSize);

/// The sum over the block's threads, in every thread; each adds in the same order.
__device__ float block_sum(float value) {
  __shared__ float warp_sums[kWarps];
  for (int distance = kWarpSize / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(0xFFFFFFFFU, value, distance);
  }
  if (threadIdx.x % kWarpSize == 0) warp_sums[threadIdx.x / kWarpSize] = value;
  __syncthreads();
  float sum = 0;
  for (int warp = 0; warp < kWarps; ++warp) sum += warp_sums[warp];
  return sum;
}

template <int kWidth, class Out>
__global__ void __launch_bounds__(kThreads) rms_norm_kernel(RmsNormArgs args) {
  const std::int64_t first = std::int64_t{blockIdx.x} * args.hidden_size;
  const float* x = args.x + first;
  Out* y = static_cast<Out*>(args.y) + first;
  const int begin = static_cast<int>(threadIdx.x) * kWidth;
  float squares = 0;
  for (int i = begin; i < args.hidden_size; i += kThreads * kWidth) {
    float values[kWidth];
    load_floats(x + i, values);
    for (const float value : values) squares = fmaf(value, value, squares);
  }
  const float mean = block_sum(squares) / static_cast<float>(args.hidden_size);
  const float factor = 1.0F / sqrtf(mean + args.eps);
  for (int i = begin; i < args.hidden_size; i += kThreads * kWidth) {
    float values[kWidth];
    float scale[kWidth];
    load_floats(x + i, values);
    load_floats(args.scale + i, scale);
    for (int k = 0; k < kWidth; ++k) values[k] = values[k] * factor * scale[k];
    store_floats(values, y + i);
  }
}

template <class Out>
void launch_as(const RmsNormArgs& args, cudaStream_t stream) {
  const auto kernel = vector_width(args.hidden_size) == 1 ? rms_norm_kernel<1, Out>
                                                          : rms_norm_kernel<kVectorWidth, Out>;
  kernel<<<static_cast<unsigned>(args.num_tokens), kThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "rms_norm_kernel");
}

}  // namespace

void launch_rms_norm(const RmsNormArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return;
  if (args.y_dtype == tensor::DType::kBF16) return launch_as<__nv_bfloat16>(args, stream);
  GOSSAMER_CHECK(args.y_dtype == tensor::DType::kF32);
  launch_as<float>(args, stream);
}

}  // namespace gossamer::kernels::cuda
