// table[t] = concentration * (cos(p f_0), ..., sin(p f_0), ...), p = positions[t]. A thread has a
// pair of a token. In double, so that the angle of a far position is right to float: bound by the
// sine, which is once a step and not once a layer.

#include "base/check.h"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/rope_table.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) rope_table_kernel(RopeTableArgs args) {
  const std::int64_t index = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const std::int64_t token = index / args.num_pairs;
  const int pair = static_cast<int>(index % args.num_pairs);
  if (token >= args.num_tokens) return;
  double sine = 0;
  double cosine = 0;
  sincos(args.positions[token] * args.inverse_frequencies[pair], &sine, &cosine);
  float* row = args.table + token * 2 * args.num_pairs;
  row[pair] = static_cast<float>(cosine * args.concentration);
  row[args.num_pairs + pair] = static_cast<float>(sine * args.concentration);
}

}  // namespace

void launch_rope_table(const RopeTableArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return;
  GOSSAMER_CHECK(0 < args.num_pairs && args.num_pairs <= kMaxRopePairs);
  const std::int64_t num_threads = std::int64_t{args.num_tokens} * args.num_pairs;
  const auto num_blocks = static_cast<unsigned>((num_threads + kThreads - 1) / kThreads);
  rope_table_kernel<<<num_blocks, kThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "rope_table_kernel");
}

}  // namespace gossamer::kernels::cuda
