#pragma once

// The producer's warp of the persistent decode step: one lane streams weights, all choose experts.

#include "kernels/cuda/decode_block.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/grid_sync.cuh"

namespace gossamer::kernels::cuda {

/// The best of a warp's candidates, lowest index first among equals.
__device__ inline void warp_best(float& value, int& index) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    const float other_value = __shfl_xor_sync(0xFFFFFFFFU, value, distance);
    const int other_index = __shfl_xor_sync(0xFFFFFFFFU, index, distance);
    if (other_value > value || (other_value == value && other_index < index)) {
      value = other_value;
      index = other_index;
    }
  }
}

/// The top experts and the softmax of their logits, in every lane. Lane l has experts l, l + 32,
/// ...
__device__ inline Route choose_experts(float (&logits)[4], int lane) {
  Route route;
  float values[kDecodeExperts];
#pragma unroll
  for (int rank = 0; rank < kDecodeExperts; ++rank) {
    float value = -INFINITY;
    int index = 1 << 30;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (logits[i] > value) {
        value = logits[i];
        index = lane + 32 * i;
      }
    }
    warp_best(value, index);
    // Logits that are not numbers choose the first experts, so that what follows stays in bounds.
    if (index == 1 << 30) index = rank;
    route.expert[rank] = index;
    values[rank] = value;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (index == lane + 32 * i) logits[i] = -INFINITY;
    }
  }
  float sum = 0;
#pragma unroll
  for (int rank = 0; rank < kDecodeExperts; ++rank) {
    route.weight[rank] = __expf(values[rank] - values[0]);
    sum += route.weight[rank];
  }
  for (float& weight : route.weight) weight /= sum;
  return route;
}

/// Chooses a layer's experts from the router's sums.
__device__ inline Route route_layer(const Block& block, int layer, int lane) {
  const DecodeShape& shape = block.shape;
  const FixedPointGrid grid = grid_of(block.small.squares[layer], shape);
  const FixedPoint* sums = block.layer_sums_of(layer);
  const float reciprocal = reciprocal_rms(grid.square(__ldcg(sums + shape.num_experts)), shape);
  const __nv_bfloat16* bias = block.small.layers[layer].router_bias;
  float logits[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int expert = lane + 32 * i;
    logits[i] = -INFINITY;
    if (expert < shape.num_experts) {
      const float product = grid.product(__ldcg(sums + expert));
      logits[i] = fmaf(product, reciprocal, __bfloat162float(bias[expert]));
    }
  }
  return choose_experts(logits, lane);
}

// Vectors and router rows are small but lie in memory like everything else, and who needs one when
// a tile is done would wait for it longer than the tile took. So lanes that do not stream bring
// them to L2 a layer ahead: each block what its own tiles need, and its share of what all need.

/// This block's share of a vector that all blocks read.
__device__ inline void prefetch_shared(const void* vector, int bytes, int lane) {
  constexpr int kLine = 128;
  const int line = static_cast<int>(blockIdx.x) + lane * static_cast<int>(gridDim.x);
  if (line * kLine < bytes) ptx::prefetch_l2(static_cast<const std::byte*>(vector) + line * kLine);
}

/// Brings a layer's small tensors to L2, this block's share of them. Lane 0 is busy elsewhere.
__device__ inline void prefetch_small(const Block& block, const DecodeLayer& layer, int lane) {
  const DecodeShape& shape = block.shape;
  if (lane == 0) return;
  const int hidden_bytes = shape.hidden * 2;
  prefetch_shared(layer.attn_norm, hidden_bytes, lane - 1);
  prefetch_shared(layer.mlp_norm, hidden_bytes, lane - 1);
  prefetch_shared(layer.qkv_bias, block.qkv_rows() * 2, lane - 1);
  prefetch_shared(layer.attn_out_bias, hidden_bytes, lane - 1);
  prefetch_shared(layer.router_bias, shape.num_experts * 2, lane - 1);
  prefetch_shared(layer.sinks, shape.num_heads * 2, lane - 1);
  const auto router_bytes = static_cast<int>(packed_bf16_bytes(shape.num_experts, shape.hidden));
#pragma unroll 1
  for (int i = lane - 1; i * 128 * static_cast<int>(gridDim.x) < router_bytes; i += 31) {
    prefetch_shared(layer.router, router_bytes, i);
  }
}

/// Brings the chosen experts' biases to L2, likewise.
__device__ inline void prefetch_expert_biases(
    const DecodeLayer& layer, const DecodeShape& shape, const Route& route, int lane
) {
  if (lane == 0) return;
#pragma unroll 1
  for (int slot = 0; slot < kDecodeExperts; ++slot) {
    const std::int64_t expert = route.expert[slot];
    const int bytes = shape.hidden * 2;
    const int wide_bytes = shape.intermediate * 4;
    prefetch_shared(layer.gate_up_bias + expert * 2 * shape.intermediate, wide_bytes, lane - 1);
    prefetch_shared(layer.down_bias + expert * shape.hidden, bytes, lane - 1);
  }
}

/// Streams this block's tiles of the chosen experts' gate and up rows.
__device__ inline void stream_gate_up(
    const Block& block, const Span& span, const DecodeLayer& layer, std::uint64_t policy
) {
  const int tiles = gate_up_tiles(block.shape);
  const auto bytes = static_cast<std::uint32_t>(2 * fp4_record_bytes(block.shape.hidden));
#pragma unroll 1
  for (int i = 0; i < span.count; ++i) {
    const int tile = span.first + i * static_cast<int>(gridDim.x);
    const std::int64_t expert = block.small.route.expert[tile / tiles];
    block.ring.send(
        span.chunk + i, layer.gate_up + (expert * tiles + tile % tiles) * bytes, bytes, policy
    );
  }
}

/// Streams this block's tiles of their down rows, those of two experts together.
__device__ inline void stream_down(
    const Block& block, Walk& walk, const DecodeLayer& layer, std::uint64_t policy
) {
  const auto bytes = static_cast<std::uint32_t>(fp4_record_bytes(block.shape.intermediate));
  const std::int64_t records = round_up(block.shape.hidden, kPackedRowAlign) / kPackedRows;
#pragma unroll 1
  for (int slot = 0; slot < kDecodeExperts; slot += 2) {
    const Span span = walk.next_rows(down_tiles(block.shape), 1);
    const int* experts = block.small.route.expert + slot;
    const std::byte* first = layer.down + experts[0] * records * bytes;
    const std::byte* second = layer.down + experts[1] * records * bytes;
#pragma unroll 1
    for (int i = 0; i < span.count; ++i) {
      const std::int64_t tile = span.first + i * static_cast<int>(gridDim.x);
      block.ring.send_pair(
          span.chunk + i, first + tile * bytes, second + tile * bytes, bytes, policy
      );
    }
  }
}

/// The producer's warp: one lane streams, all choose experts.
__device__ inline void produce(const Block& block) {
  const int lane = threadIdx.x % 32;
  const DecodeShape& shape = block.shape;
  const std::uint64_t policy = ptx::evict_first_policy();
  const DenseCut& qkv = block.small.qkv;
  const DenseCut& out = block.small.out;
  Walk walk;
#pragma unroll 1
  for (int i = 0; i < shape.num_layers; ++i) {
    const DecodeLayer& layer = block.small.layers[i];
    if (i + 1 < shape.num_layers) prefetch_small(block, block.small.layers[i + 1], lane);
    if (lane == 0) {
      stream_dense(block.ring, walk.next(qkv.num_tiles, qkv.chunks), qkv, layer.qkv, policy);
      stream_dense(
          block.ring, walk.next_rows(out.num_tiles, out.chunks), out, layer.attn_out, policy
      );
    }
    __syncwarp();
    while (ptx::load_acquire(block.small.scratch.arrivals) < (i + 1) * gridDim.x) {
    }
    __syncwarp();
    const Route chosen = route_layer(block, i, lane);
    if (lane == 0) block.small.route = chosen;
    __syncwarp();
    const Route& route = block.small.route;
    prefetch_expert_biases(layer, shape, route, lane);
    if (lane == 0) {
      stream_gate_up(block, walk.next(kDecodeExperts * gate_up_tiles(shape), 1), layer, policy);
      stream_down(block, walk, layer, policy);
    }
    __syncwarp();
  }
  if (lane == 0) {
    const DenseCut& cut = block.small.head;
    stream_dense(
        block.ring, walk.next(cut.num_tiles, cut.chunks), cut, block.args.unembedding, policy
    );
  }
}

}  // namespace gossamer::kernels::cuda
