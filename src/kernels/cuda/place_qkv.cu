// rotate, then store_kv, on the rows of the fused product of queries, keys and values. Sixteen
// lanes have a head of a token. A block has sixteen heads of one token where they are rotated, and
// one head of sixteen tokens where values become columns of their cells: neighbours in a sequence
// then write neighbouring bytes. Bound by memory.

#include "kernels/cuda/head_access.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/place_qkv.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kHeadsPerBlock = kThreads / kHeadLanes;
constexpr int kTokensPerBlock = kThreads / kHeadLanes;

int groups_of(int size, int group_size) {
  return (size + group_size - 1) / group_size;
}

__device__ void place_rotated(const PlaceQkvArgs& args, std::int64_t token, int head, int lane) {
  const int rotated_heads = args.num_heads + args.num_kv_heads;
  const int all_heads = rotated_heads + args.num_kv_heads;
  if (head >= rotated_heads) return;
  const HeadPart part = rotated(
      load_head(args.qkv + (token * all_heads + head) * kHeadDim, lane),
      args.rope_table + token * kHeadDim,
      lane
  );
  const int key_head = head - args.num_heads;
  if (key_head < 0) {
    store_head(part, args.q + (token * args.num_heads + head) * kHeadDim, lane);
  } else {
    const std::int32_t slot = args.slot_mapping[token];
    store_head(part, args.keys + key_offset(slot, key_head, args.num_kv_heads), lane);
  }
}

__device__ void place_value(const PlaceQkvArgs& args, std::int64_t token, int head, int lane) {
  if (token >= args.num_tokens) return;
  const int all_heads = args.num_heads + 2 * args.num_kv_heads;
  const int row = args.num_heads + args.num_kv_heads + head;
  const std::int32_t slot = args.slot_mapping[token];
  store_value(
      load_head(args.qkv + (token * all_heads + row) * kHeadDim, lane),
      args.values + cell_offset(slot, head, args.num_kv_heads),
      slot,
      lane
  );
}

/// The first blocks rotate, head_groups to a token; the others have values, num_kv_heads to a group
/// of tokens.
__global__ void __launch_bounds__(kThreads) place_qkv_kernel(PlaceQkvArgs args, int head_groups) {
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t rotating_blocks = std::int64_t{args.num_tokens} * head_groups;
  std::int64_t block = blockIdx.x;
  if (block < rotating_blocks) {
    const int group = static_cast<int>(block % head_groups);
    const int head = group * kHeadsPerBlock + thread / kHeadLanes;
    place_rotated(args, block / head_groups, head, thread % kHeadLanes);
  } else {
    block -= rotating_blocks;
    const int head = static_cast<int>(block % args.num_kv_heads);
    const std::int64_t group = block / args.num_kv_heads;
    place_value(
        args, group * kTokensPerBlock + thread % kTokensPerBlock, head, thread / kTokensPerBlock
    );
  }
}

}  // namespace

void launch_place_qkv(const PlaceQkvArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return;
  const int head_groups = groups_of(args.num_heads + args.num_kv_heads, kHeadsPerBlock);
  const int num_blocks = args.num_tokens * head_groups +
                         groups_of(args.num_tokens, kTokensPerBlock) * args.num_kv_heads;
  place_qkv_kernel<<<num_blocks, kThreads, 0, stream>>>(args, head_groups);
  check(cudaGetLastError(), "place_qkv_kernel");
}

}  // namespace gossamer::kernels::cuda
