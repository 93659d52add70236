// (x[i], x[i + 32]) = (x[i] cos - x[i + 32] sin, x[i + 32] cos + x[i] sin), in float, for every
// head. Sixteen lanes have a head, a block sixteen heads. Bound by memory.

#include "kernels/cuda/head_access.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/rotate.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kHeadsPerBlock = kThreads / kHeadLanes;

__global__ void __launch_bounds__(kThreads) rotate_kernel(RotateArgs args) {
  const std::int64_t head = std::int64_t{blockIdx.x} * kHeadsPerBlock + threadIdx.x / kHeadLanes;
  const std::int64_t token = head / args.num_heads;
  if (token >= args.num_tokens) return;
  const int lane = static_cast<int>(threadIdx.x) % kHeadLanes;
  __nv_bfloat16* x = args.x + head * kHeadDim;
  store_head(rotated(load_head(x, lane), args.table + token * kHeadDim, lane), x, lane);
}

}  // namespace

void launch_rotate(const RotateArgs& args, cudaStream_t stream) {
  const std::int64_t heads = std::int64_t{args.num_tokens} * args.num_heads;
  if (heads == 0) return;
  const auto num_blocks = static_cast<unsigned>((heads + kHeadsPerBlock - 1) / kHeadsPerBlock);
  rotate_kernel<<<num_blocks, kThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "rotate_kernel");
}

}  // namespace gossamer::kernels::cuda
