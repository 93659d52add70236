// x[t] = embedding[tokens[t]], bf16 widened to float. A block copies a row. Bound by memory.

#include "kernels/cuda/embed.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/row_access.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 256;

template <int kWidth>
__global__ void __launch_bounds__(kThreads) embed_kernel(EmbedArgs args) {
  const std::int64_t token = args.tokens[blockIdx.x];
  const __nv_bfloat16* from = args.embedding + token * args.hidden_size;
  float* to = args.x + std::int64_t{blockIdx.x} * args.hidden_size;
  for (int i = static_cast<int>(threadIdx.x) * kWidth; i < args.hidden_size;
       i += kThreads * kWidth) {
    float values[kWidth];
    load_floats(from + i, values);
    store_floats(values, to + i);
  }
}

}  // namespace

void launch_embed(const EmbedArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return;
  const auto kernel =
      vector_width(args.hidden_size) == 1 ? embed_kernel<1> : embed_kernel<kVectorWidth>;
  kernel<<<static_cast<unsigned>(args.num_tokens), kThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "embed_kernel");
}

}  // namespace gossamer::kernels::cuda
