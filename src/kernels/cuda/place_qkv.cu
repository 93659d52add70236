// rotate, then store_kv, on the rows of the fused product of queries, keys and values. Sixteen
// lanes have a head of a token, a block sixteen heads of one token. Bound by memory.

#include "kernels/cuda/head_access.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/place_qkv.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kHeadsPerBlock = kThreads / kHeadLanes;

__global__ void __launch_bounds__(kThreads) place_qkv_kernel(PlaceQkvArgs args) {
  const std::int64_t token = blockIdx.x;
  const int head = static_cast<int>(blockIdx.y * kHeadsPerBlock + threadIdx.x / kHeadLanes);
  const int lane = static_cast<int>(threadIdx.x) % kHeadLanes;
  const int first_value = args.num_heads + args.num_kv_heads;
  const int all_heads = first_value + args.num_kv_heads;
  if (head >= all_heads) return;
  const HeadPart part = load_head(args.qkv + (token * all_heads + head) * kHeadDim, lane);
  const float* table_row = args.rope_table + token * kHeadDim;
  if (head < args.num_heads) {
    __nv_bfloat16* q = args.q + (token * args.num_heads + head) * kHeadDim;
    store_head(rotated(part, table_row, lane), q, lane);
    return;
  }
  const std::int32_t slot = args.slot_mapping[token];
  if (head < first_value) {
    __nv_bfloat16* key = args.keys + key_offset(slot, head - args.num_heads, args.num_kv_heads);
    store_head(rotated(part, table_row, lane), key, lane);
  } else {
    __nv_bfloat16* cell = args.values + cell_offset(slot, head - first_value, args.num_kv_heads);
    store_value(part, cell, slot, lane);
  }
}

}  // namespace

void launch_place_qkv(const PlaceQkvArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return;
  const int heads = args.num_heads + 2 * args.num_kv_heads;
  const dim3 grid(
      static_cast<unsigned>(args.num_tokens),
      static_cast<unsigned>((heads + kHeadsPerBlock - 1) / kHeadsPerBlock)
  );
  place_qkv_kernel<<<grid, kThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "place_qkv_kernel");
}

}  // namespace gossamer::kernels::cuda
