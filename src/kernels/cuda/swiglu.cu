// y[k] = u sigmoid(1.702 u) (v + 1), u = min(x[2k], limit), v = clamp(x[2k + 1], -limit, limit).
// A thread has one k: it reads a pair and writes one value. Bound by memory.

#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/swiglu.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr float kAlpha = 1.702F;

__global__ void __launch_bounds__(kThreads) swiglu_kernel(SwigluArgs args) {
  const std::int64_t k = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (k >= args.size) return;
  const float2 pair = reinterpret_cast<const float2*>(args.x)[k];
  const float u = fminf(pair.x, args.limit);
  const float v = fminf(fmaxf(pair.y, -args.limit), args.limit);
  args.y[k] = __float2bfloat16_rn(u / (1.0F + expf(-kAlpha * u)) * (v + 1.0F));
}

}  // namespace

void launch_swiglu(const SwigluArgs& args, cudaStream_t stream) {
  if (args.size == 0) return;
  const auto num_blocks = static_cast<unsigned>((args.size + kThreads - 1) / kThreads);
  swiglu_kernel<<<num_blocks, kThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "swiglu_kernel");
}

}  // namespace gossamer::kernels::cuda
