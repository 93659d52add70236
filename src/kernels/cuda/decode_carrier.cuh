#pragma once

// The warps of the persistent decode step that bring what is small: while the consumers multiply,
// the experts' hidden vectors to shared memory; a layer ahead, vectors and router rows to L2.
// These lie in memory like everything else, and who needs one when a tile is done would wait for it
// longer than the tile took.

#include "kernels/cuda/decode_block.cuh"
#include "kernels/cuda/decode_words.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/grid_sync.cuh"
#include "kernels/cuda/ptx/named_barrier.cuh"

namespace gossamer::kernels::cuda {

inline constexpr int kCarrierBarrier = kFirstGroupBarrier + kNumGroups;  // named barrier

/// This block's share of a tensor that all blocks read, to L2.
__device__ inline void prefetch_shared(const void* tensor, int bytes, int thread) {
  constexpr int kLine = 128;
#pragma unroll 1
  for (int i = thread;; i += kCarriers) {
    const int line = static_cast<int>(blockIdx.x) + i * static_cast<int>(gridDim.x);
    if (line * kLine >= bytes) break;
    ptx::prefetch_l2(static_cast<const std::byte*>(tensor) + line * kLine);
  }
}

/// Brings a layer's small tensors to L2, this block's share of them.
__device__ inline void prefetch_small(const Block& block, const DecodeLayer& layer, int thread) {
  const DecodeShape& shape = block.shape;
  const int hidden_bytes = shape.hidden * 2;
  prefetch_shared(layer.attn_norm, hidden_bytes, thread);
  prefetch_shared(layer.mlp_norm, hidden_bytes, thread);
  prefetch_shared(layer.qkv_bias, block.qkv_rows() * 2, thread);
  prefetch_shared(layer.attn_out_bias, hidden_bytes, thread);
  prefetch_shared(layer.router_bias, shape.num_experts * 2, thread);
  prefetch_shared(layer.sinks, shape.num_heads * 2, thread);
  const auto router_bytes = static_cast<int>(packed_bf16_bytes(shape.num_experts, shape.hidden));
  prefetch_shared(layer.router, router_bytes, thread);
}

/// Brings the chosen experts' biases to L2, likewise.
__device__ inline void prefetch_expert_biases(
    const DecodeLayer& layer, const DecodeShape& shape, const Route& route, int thread
) {
#pragma unroll 1
  for (int slot = 0; slot < kDecodeExperts; ++slot) {
    const std::int64_t expert = route.expert[slot];
    const std::int64_t rows = 2 * shape.intermediate;
    prefetch_shared(layer.gate_up_bias + expert * rows, static_cast<int>(rows) * 2, thread);
    prefetch_shared(layer.down_bias + expert * shape.hidden, shape.hidden * 2, thread);
  }
}

/// Waits until a slot's hidden vector has been counted. One thread asks: more of them would keep
/// the counts from those who count.
__device__ inline void wait_hidden(const Block& block, int layer, int slot, int thread) {
  if (thread == 0) {
    const unsigned* count = block.count_of(layer, kHidden + slot);
    while (ptx::load_relaxed(count) < static_cast<unsigned>(gate_up_tiles(block.shape))) {
    }
  }
  ptx::named_barrier(kCarrierBarrier, kCarriers);
}

/// Whether all carriers are ready. `turn` changes from call to call.
__device__ inline bool all_ready(const Block& block, int& turn, int thread, bool ready) {
  bool(&warps)[kCarriers / 32] = block.small.carriers_ready[turn];
  turn ^= 1;
  const bool warp_ready = __all_sync(0xFFFFFFFFU, ready) != 0;
  if (thread % 32 == 0) warps[thread / 32] = warp_ready;
  ptx::named_barrier(kCarrierBarrier, kCarriers);
  bool all = true;
#pragma unroll
  for (const bool warp : warps) all = all && warp;
  return all;
}

/// Brings a slot's hidden vector to shared memory as operand B, when it is there.
__device__ inline void carry_hidden(
    const Block& block, int layer, int slot, int thread, int& turn
) {
  constexpr int kAtOnce = 15;  // pairs: one trip through L2 for the released widths
  const int columns = block.shape.intermediate;
  const int part = fragment_part_bytes(columns);
  const Word* words = block.small.scratch.hidden + slot * columns;
  std::byte* vector = block.hidden_vector(slot);
  constexpr int kStride = fragment_stride<kCarriers>();
  int offset = fragment_offset(2 * thread);
#pragma unroll 1
  for (int begin = 0; 2 * begin < columns; begin += kAtOnce * kCarriers) {
    const int first = begin + thread;
    const Word tag = tag_of(layer);
    float2 pairs[kAtOnce];
    // Often it has come while the slot before was carried: asking for its count would be one more
    // trip through a busy L2.
    const bool ready = load_pairs(words, first, kCarriers, columns / 2, tag, pairs);
    if (!all_ready(block, turn, thread, ready)) {
      wait_hidden(block, layer, slot, thread);
      wait_pairs(words, first, kCarriers, columns / 2, tag, pairs);
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (2 * (first + i * kCarriers) >= columns) break;
      const float scale = kFp4VectorScale;
      store_fragment(vector, part, offset + i * kStride, pairs[i].x * scale, pairs[i].y * scale);
    }
    offset += kAtOnce * kStride;
  }
  const int padded = static_cast<int>(round_up(columns, kPackedColumnAlign));
  for (int column = columns + 2 * thread; column < padded; column += 2 * kCarriers) {
    store_fragment(vector, part, fragment_offset(column), 0, 0);
  }
}

__device__ inline void carry(const Block& block) {
  const int thread = static_cast<int>(threadIdx.x) - kFirstCarrier;
  const DecodeShape& shape = block.shape;
  ExpertBarriers& barriers = block.small.barriers;
  int turn = 0;
#pragma unroll 1
  for (int i = 0; i < shape.num_layers; ++i) {
    const DecodeLayer* layer = block.small.layers + i;
    if (i + 1 < shape.num_layers) prefetch_small(block, layer[1], thread);
    arrive(barriers.unrouted);
    wait_phase(barriers.routed, i);
    prefetch_expert_biases(*layer, shape, block.small.route, thread);
#pragma unroll 1
    for (int slot = 0; slot < kDecodeExperts; ++slot) {
      if (slot == kDecodeExperts - 1) wait_phase(barriers.gate_up, i);
      carry_hidden(block, i, slot, thread, turn);
      arrive(barriers.hidden[slot]);
    }
  }
}

}  // namespace gossamer::kernels::cuda
