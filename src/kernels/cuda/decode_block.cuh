#pragma once

// What the producer and the consumers of a block of the persistent decode step share.

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/decode_attention.cuh"
#include "kernels/cuda/decode_products.cuh"
#include "kernels/cuda/decode_ring.cuh"
#include "kernels/cuda/decode_scratch.cuh"
#include "kernels/cuda/decode_step.cuh"

namespace gossamer::kernels::cuda {

inline constexpr int kConsumerBarrier = 1;    // named barrier of all consumers
inline constexpr int kFirstGroupBarrier = 2;  // and of each group
inline constexpr int kTileRows = 16;          // results of a tile at most
inline constexpr float kSwigluAlpha = 1.702F;
inline constexpr int kVectorPairs = 6;  // of a vector, a thread's at most
inline constexpr int kMaxDenseColumns = 2 * kVectorPairs * kConsumers;
inline constexpr int kMaxOwnTiles = 8;  // of the residual stream, a block's

/// Barriers of a layer's experts, in shared memory, a phase a layer.
struct ExpertBarriers {
  std::uint64_t unrouted;                // nobody needs the experts of the layer before
  std::uint64_t routed;                  // the producer has chosen the experts
  std::uint64_t gate_up;                 // the consumers have read the vector of the first products
  std::uint64_t hidden[kDecodeExperts];  // the carriers have brought an expert's hidden vector
};

/// Shared memory behind the ring's stages and the vectors.
struct SmallShared {
  RingState ring;
  ExpertBarriers barriers;
  float partials[kNumGroups][2][kWarpsPerGroup][kTileRows];
  float rope[kHeadDim];
  float squares[kMaxDecodeLayers + 1];  // of x where each layer begins
  float warp_sums[kConsumers / 32];
  bool carriers_ready[2][kCarriers / 32];
  float x[kMaxOwnTiles][kPackedRows];  // the rows of the residual stream that this block keeps
  NewToken token;
  DecodeScratch scratch;
  const std::int32_t* full_table;  // the sequence's blocks in layers of full attention
  const std::int32_t* sliding_table;
  DenseCut qkv;
  DenseCut out;
  DenseCut head;  // the unembedding
  DecodeLayer layers[kMaxDecodeLayers + 1];
  Route route;
};

__host__ __device__ constexpr int vector_bytes(const DecodeShape& shape) {
  const int dense = fragment_bytes(shape.num_heads * kHeadDim);
  const int hidden = fragment_bytes(shape.hidden);
  const int expert = fragment_bytes(shape.intermediate);
  const int experts = 3 * expert + (expert > hidden ? expert : hidden);
  const int attention =
      kAttentionWarps * kMaxGroup * kPartialFloats * static_cast<int>(sizeof(float));
  const int larger = dense > hidden ? dense : hidden;
  const int largest = experts > attention ? experts : attention;
  return ((larger > largest ? larger : largest) + 15) & ~15;
}

__host__ __device__ constexpr std::size_t shared_bytes(const DecodeShape& shape) {
  return kNumStages * kStageBytes + vector_bytes(shape) + sizeof(SmallShared);
}

// The released widths fit a multiprocessor of sm_90.
static_assert(
    shared_bytes({.hidden = 2880, .intermediate = 2880, .num_heads = 64, .num_kv_heads = 8}) <=
    232448
);

/// What producer and consumers of a block share.
struct Block {
  const DecodeStepArgs& args;
  const DecodeShape& shape;
  std::byte* vectors;
  SmallShared& small;
  Ring ring;

  __device__ Block(const DecodeStepArgs& step, std::byte* shared)
      : args(step),
        shape(step.shape),
        vectors(shared + kNumStages * kStageBytes),
        small(*reinterpret_cast<SmallShared*>(vectors + vector_bytes(step.shape))),
        ring(shared, small.ring) {}

  __device__ FixedPoint* layer_sums_of(int layer) const {
    return small.scratch.sums + layer * layer_sums(shape.num_experts);
  }
  __device__ unsigned* count_of(int layer, int handoff) const {
    return small.scratch.counts + layer * kNumHandoffs + handoff;
  }
  __device__ float* x_middle(int layer) const {
    return small.scratch.x_middle + layer % 2 * shape.hidden;
  }
  /// Where a slot's hidden vector lies. The one that gate and up multiply begins where the last
  /// slot's does, so that those of the others can come meanwhile.
  __device__ std::byte* hidden_vector(int slot) const {
    return vectors + slot * fragment_bytes(shape.intermediate);
  }
  __device__ std::byte* middle_vector() const { return hidden_vector(kDecodeExperts - 1); }

  __device__ void init_barriers() const {
    ExpertBarriers& barriers = small.barriers;
    ptx::mbarrier_init(ptx::shared_address(&barriers.unrouted), kConsumers + kCarriers);
    ptx::mbarrier_init(ptx::shared_address(&barriers.routed), 32);
    ptx::mbarrier_init(ptx::shared_address(&barriers.gate_up), kConsumers);
    for (std::uint64_t& hidden : barriers.hidden) {
      ptx::mbarrier_init(ptx::shared_address(&hidden), kCarriers);
    }
    ring.init();
  }

  __device__ int qkv_rows() const { return (shape.num_heads + 2 * shape.num_kv_heads) * kHeadDim; }
};

/// A thread's arrival, and its wait for the phase of a layer. All lanes call them, for what each of
/// them has written or will read.
__device__ inline void arrive(std::uint64_t& barrier) {
  ptx::mbarrier_arrive(ptx::shared_address(&barrier));
}
__device__ inline void wait_phase(std::uint64_t& barrier, int layer) {
  ptx::mbarrier_wait(ptx::shared_address(&barrier), layer & 1);
}

__device__ inline float reciprocal_rms(float sum_of_squares, const DecodeShape& shape) {
  return rsqrtf(sum_of_squares / static_cast<float>(shape.hidden) + shape.rms_norm_eps);
}

/// The grid of a layer that begins with this sum of squares.
__device__ inline FixedPointGrid grid_of(float sum_of_squares, const DecodeShape& shape) {
  return FixedPointGrid(1.0F / reciprocal_rms(sum_of_squares, shape));
}

}  // namespace gossamer::kernels::cuda
