#pragma once

// The producer's warp of the persistent decode step: one lane streams weights, all choose experts.

#include "kernels/cuda/decode_block.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/grid_sync.cuh"

namespace gossamer::kernels::cuda {

/// A number that orders as the float does: not a number below all others.
__device__ inline std::uint32_t ordered(float value) {
  const std::uint32_t bits = __float_as_uint(value);
  if (isnan(value)) return 0;
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}
__device__ inline float from_ordered(std::uint32_t key) {
  return __uint_as_float((key >> 31) != 0 ? key & 0x7FFFFFFFU : ~key);
}

/// The top experts and the softmax of their logits, in every lane. Lane l has experts l, l + 32,
/// ...; zeros are keys of none.
__device__ inline Route choose_experts(std::uint32_t (&keys)[4], int lane) {
  constexpr unsigned kAll = 0xFFFFFFFFU;
  Route route;
  float values[kDecodeExperts];
#pragma unroll
  for (int rank = 0; rank < kDecodeExperts; ++rank) {
    const std::uint32_t mine = max(max(keys[0], keys[1]), max(keys[2], keys[3]));
    const std::uint32_t best = __reduce_max_sync(kAll, mine);
    unsigned index = ~0U;
#pragma unroll
    for (int i = 3; i >= 0; --i) {
      if (keys[i] == best) index = lane + 32 * i;
    }
    index = __reduce_min_sync(kAll, index);
    // Logits that are not numbers choose the first experts, so that what follows stays in bounds.
    route.expert[rank] = best == 0 ? rank : static_cast<int>(index);
    values[rank] = from_ordered(best);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (index == lane + 32 * i) keys[i] = 0;
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

/// Waits for a layer's router sums, and chooses its experts.
__device__ inline Route route_layer(const Block& block, int layer, int lane) {
  const DecodeShape& shape = block.shape;
  const __nv_bfloat16* biases = block.small.layers[layer].router_bias;
  float bias[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int expert = lane + 32 * i;
    bias[i] = expert < shape.num_experts ? __bfloat162float(biases[expert]) : 0.0F;
  }
  wait_phase(block.small.barriers.unrouted, layer);
  while (ptx::load_acquire(block.small.scratch.arrivals) < (layer + 1) * gridDim.x) {
  }
  __syncwarp();
  const FixedPointGrid grid = grid_of(block.small.squares[layer], shape);
  const FixedPoint* sums = block.layer_sums_of(layer);
  FixedPoint products[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int expert = lane + 32 * i;
    products[i] = expert < shape.num_experts ? __ldcg(sums + expert) : 0;
  }
  const float reciprocal = reciprocal_rms(grid.square(__ldcg(sums + shape.num_experts)), shape);
  std::uint32_t keys[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float logit = fmaf(grid.product(products[i]), reciprocal, bias[i]);
    keys[i] = lane + 32 * i < shape.num_experts ? ordered(logit) : 0;
  }
  return choose_experts(keys, lane);
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
    if (lane == 0) {
      stream_dense(block.ring, walk.next(qkv.num_tiles, qkv.chunks), qkv, layer.qkv, policy);
      stream_dense(
          block.ring, walk.next_rows(out.num_tiles, out.chunks), out, layer.attn_out, policy
      );
    }
    __syncwarp();
    const Route chosen = route_layer(block, i, lane);
    if (lane == 0) block.small.route = chosen;
    arrive(block.small.barriers.routed);
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
