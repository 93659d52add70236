// keys[slot] = k[t], values[slot] = v[t] with slot = slot_mapping[t], for every head. Sixteen lanes
// have a head of a token, a block sixteen heads. Bound by memory: values are columns of their
// cells, and the cache gathers a column's two bytes with its neighbours'.

#include "kernels/cuda/head_access.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/store_kv.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kHeadsPerBlock = kThreads / kHeadLanes;

__global__ void __launch_bounds__(kThreads) store_kv_kernel(StoreKvArgs args) {
  const std::int64_t index = std::int64_t{blockIdx.x} * kHeadsPerBlock + threadIdx.x / kHeadLanes;
  const std::int64_t token = index / args.num_heads;
  if (token >= args.num_tokens) return;
  const int head = static_cast<int>(index % args.num_heads);
  const int lane = static_cast<int>(threadIdx.x) % kHeadLanes;
  const std::int32_t slot = args.slot_mapping[token];
  store_head(
      load_head(args.k + index * kHeadDim, lane),
      args.keys + key_offset(slot, head, args.num_heads),
      lane
  );
  store_value(
      load_head(args.v + index * kHeadDim, lane),
      args.values + cell_offset(slot, head, args.num_heads),
      slot,
      lane
  );
}

}  // namespace

void launch_store_kv(const StoreKvArgs& args, cudaStream_t stream) {
  const std::int64_t heads = std::int64_t{args.num_tokens} * args.num_heads;
  if (heads == 0) return;
  const auto num_blocks = static_cast<unsigned>((heads + kHeadsPerBlock - 1) / kHeadsPerBlock);
  store_kv_kernel<<<num_blocks, kThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "store_kv_kernel");
}

}  // namespace gossamer::kernels::cuda
