// A decode step of one token as one persistent kernel: one block a multiprocessor, each streaming its share
// of all weights through a ring in shared memory (decode_ring.cuh) from the first layer to the
// unembedding, while 16 warps multiply (decode_products.cuh).
//
// A layer is five phases, each of which needs all of what the one before it made:
//   1. y = W_qkv RMSNorm(x) + b
//   2. attention, a part of one key-value head a block (decode_attention.cuh)
//   3. x += W_o a + b; on the way sums for the router, W_r (scale x), and of squares
//   4. hidden_e = SwiGLU(W_gate_up RMSNorm(x) + b) for the chosen experts e
//   5. x += sum_e weight_e (W_down hidden_e + b), the last expert by itself, since its hidden vector is the
//      only one to wait for
// Between 3 and 4 all blocks meet at a barrier; elsewhere words wait for each other (decode_words.cuh). The
// producer runs ahead of all that: weights depend on nothing but, for the experts, the routing, which the
// producer's warp computes for itself.
//
// A phase runs once a layer, so its instructions come from far unless the whole kernel stays in the
// instruction cache: loops that are not inner ones are not unrolled, and nothing is inlined twice that is long.
//
// Bound by bytes: the weights of a token once, 3.7 GB at 20b and 5.0 GB at 120b.

#include "kernels/cuda/decode_step.cuh"

#include "kernels/cuda/decode_attention.cuh"
#include "kernels/cuda/decode_products.cuh"
#include "kernels/cuda/decode_ring.cuh"
#include "kernels/cuda/decode_scratch.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/ptx/grid_sync.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kConsumerBarrier = 1;     // named barrier of all consumers
constexpr int kFirstGroupBarrier = 2;   // and of each group
constexpr int kTileRows = 16;           // results of a tile at most
constexpr float kSwigluAlpha = 1.702F;
constexpr int kVectorPairs = 5;         // of a vector, a thread's at most
constexpr int kHiddenPairs = 9;         // of the experts' hidden vectors, a thread's at once
constexpr int kMaxDenseColumns = 2 * kVectorPairs * kConsumers;
constexpr int kMaxOwnTiles = 8;         // of the residual stream, a block's

/// Shared memory behind the ring's stages and the vectors.
struct SmallShared {
  RingState ring;
  float partials[kNumGroups][2][kWarpsPerGroup][kTileRows];
  float rope[kHeadDim];
  float squares[kMaxDecodeLayers + 1];  // of x where each layer begins
  float warp_sums[kConsumers / 32];
  float x[kMaxOwnTiles][kPackedRows];  // the rows of the residual stream that this block keeps
  NewToken token;
  DecodeScratch scratch;
  DenseCut qkv;
  DenseCut out;
  DenseCut head;  // the unembedding
  DecodeLayer layers[kMaxDecodeLayers + 1];
  Route route;
};

__host__ __device__ constexpr int vector_bytes(const DecodeShape& shape) {
  const int dense = fragment_bytes(shape.num_heads * kHeadDim);
  const int hidden = fragment_bytes(shape.hidden);
  const int experts = kDecodeExperts * fragment_bytes(shape.intermediate);
  const int attention = kAttentionWarps * kMaxGroup * kPartialFloats * static_cast<int>(sizeof(float));
  const int larger = dense > hidden ? dense : hidden;
  const int largest = experts > attention ? experts : attention;
  return ((larger > largest ? larger : largest) + 15) & ~15;
}

__host__ __device__ constexpr std::size_t shared_bytes(const DecodeShape& shape) {
  return kNumStages * kStageBytes + vector_bytes(shape) + sizeof(SmallShared);
}

// The released widths fit a multiprocessor of sm_90.
static_assert(
    shared_bytes({.hidden = 2880, .intermediate = 2880, .num_heads = 64, .num_kv_heads = 8}) <= 232448
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
  __device__ float* x_middle(int layer) const {
    return small.scratch.x_middle + layer % 2 * shape.hidden;
  }
  __device__ int qkv_rows() const { return (shape.num_heads + 2 * shape.num_kv_heads) * kHeadDim; }
};

__device__ float reciprocal_rms(float sum_of_squares, const DecodeShape& shape) {
  return rsqrtf(sum_of_squares / static_cast<float>(shape.hidden) + shape.rms_norm_eps);
}

/// The grid of a layer that begins with this sum of squares.
__device__ FixedPointGrid grid_of(float sum_of_squares, const DecodeShape& shape) {
  return FixedPointGrid(1.0F / reciprocal_rms(sum_of_squares, shape));
}

// --- producer ---

/// The best of a warp's candidates, lowest index first among equals.
__device__ void warp_best(float& value, int& index) {
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

/// The top experts and the softmax of their logits, in every lane. Lane l has experts l, l + 32, ...
__device__ Route choose_experts(float (&logits)[4], int lane) {
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
__device__ Route route_layer(const Block& block, int layer, int lane) {
  const DecodeShape& shape = block.shape;
  const FixedPointGrid grid = grid_of(block.small.squares[layer], shape);
  const FixedPoint* sums = block.layer_sums_of(layer);
  const float reciprocal =
      reciprocal_rms(grid.square(__ldcg(sums + shape.num_experts)), shape);
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

// Vectors and router rows are small but lie in memory like everything else, and who needs one when a tile
// is done would wait for it longer than the tile took. So lanes that do not stream bring them to L2 a layer
// ahead: each block what its own tiles need, and its share of what all need.

/// This block's share of a vector that all blocks read.
__device__ inline void prefetch_shared(const void* vector, int bytes, int lane) {
  constexpr int kLine = 128;
  const int line = static_cast<int>(blockIdx.x) + lane * static_cast<int>(gridDim.x);
  if (line * kLine < bytes) ptx::prefetch_l2(static_cast<const std::byte*>(vector) + line * kLine);
}

/// Brings a layer's small tensors to L2, this block's share of them. Lane 0 is busy elsewhere.
__device__ void prefetch_small(const Block& block, const DecodeLayer& layer, int lane) {
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
__device__ void prefetch_expert_biases(
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
__device__ void stream_gate_up(
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

/// Streams this block's tiles of their down rows, expert by expert.
__device__ void stream_down(
    const Block& block, Walk& walk, const DecodeLayer& layer, std::uint64_t policy
) {
  const auto bytes = static_cast<std::uint32_t>(fp4_record_bytes(block.shape.intermediate));
  const std::int64_t records = round_up(block.shape.hidden, kPackedRowAlign) / kPackedRows;
#pragma unroll 1
  for (int slot = 0; slot < kDecodeExperts; ++slot) {
    const Span span = walk.next_rows(down_tiles(block.shape), 1);
    const std::int64_t expert = block.small.route.expert[slot];
#pragma unroll 1
    for (int i = 0; i < span.count; ++i) {
      const std::int64_t tile = span.first + i * static_cast<int>(gridDim.x);
      block.ring.send(
          span.chunk + i, layer.down + (expert * records + tile) * bytes, bytes, policy
      );
    }
  }
}

/// The producer's warp: one lane streams, all choose experts.
__device__ void produce(const Block& block) {
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
      stream_dense(block.ring, walk.next_rows(out.num_tiles, out.chunks), out, layer.attn_out, policy);
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
    stream_dense(block.ring, walk.next(cut.num_tiles, cut.chunks), cut, block.args.unembedding, policy);
  }
}

// --- consumers ---

/// Waits until a count has reached its target, and all consumers are here.
__device__ inline void wait_for_count(const unsigned* count, int target) {
  ptx::named_barrier(kConsumerBarrier, kConsumers);
  if (threadIdx.x == 0) {
    while (ptx::load_relaxed(count) < static_cast<unsigned>(target)) {
    }
  }
  ptx::named_barrier(kConsumerBarrier, kConsumers);
}

/// A group's barrier, then the sum of its warps' partial results of row `lane`, in lanes below `rows`.
__device__ inline float sum_partials(
    const float (&partials)[kWarpsPerGroup][kTileRows], int rows, int group, int lane
) {
  ptx::named_barrier(kFirstGroupBarrier + group, 32 * kWarpsPerGroup);
  float total = 0;
  if (lane < rows) {
#pragma unroll
    for (int warp = 0; warp < kWarpsPerGroup; ++warp) total += partials[warp][lane];
  }
  return total;
}

/// A thread's pairs of a vector of `columns` in shared memory as operand B. Columns past the end, up to
/// what the packed weights have, are zeros.
__device__ inline void store_pairs(
    std::byte* fragments, int columns, const float2 (&pairs)[kVectorPairs]
) {
  const int padded = static_cast<int>(round_up(columns, kPackedColumnAlign));
  const int part = fragment_part_bytes(columns);
#pragma unroll
  for (int i = 0; i < kVectorPairs; ++i) {
    const int column = 2 * (static_cast<int>(threadIdx.x) + i * kConsumers);
    if (column >= padded) break;
    const bool inside = column < columns;
    store_fragment(
        fragments, part, column, inside ? pairs[i].x : 0.0F, inside ? pairs[i].y : 0.0F
    );
  }
}

/// The warps that multiply.
class Consumer {
 public:
  __device__ explicit Consumer(const Block& block)
      : block_(block),
        shape_(block.shape),
        thread_(static_cast<int>(threadIdx.x)),
        position_(*block.args.position) {}

  __device__ void run() {
    prepare();
#pragma unroll 1
    for (int i = 0;; ++i) {
      const bool ends = i == shape_.num_layers;
      const DecodeLayer& layer = block_.small.layers[i];
      load_normed_x(i, ends ? block_.args.norm : layer.attn_norm);
      if (ends) break;
      project_qkv(i, layer);
      attend(i, layer);
      project_out(i, layer);
      float2 weights[kVectorPairs];
      load_pairs(layer.mlp_norm, weights);
      grid_barrier();
      load_normed_middle(i, weights);
      gate_up(i, layer);
      // All hidden vectors but the last are there by now.
#pragma unroll 1
      for (int slot = 0; slot < kDecodeExperts; ++slot) {
        if (slot == 0) load_hidden(i, 0, kDecodeExperts - 1);
        if (slot == kDecodeExperts - 1) load_hidden(i, slot, 1);
        down(i, slot, layer);
      }
    }
    unembed();
  }

 private:
  __device__ void sync() const { ptx::named_barrier(kConsumerBarrier, kConsumers); }

  /// Every block's consumers have arrived, and see what the others wrote.
  __device__ void grid_barrier() {
    target_ += gridDim.x;
    sync();
    if (thread_ == 0) {
      ptx::add_release(block_.small.scratch.arrivals, 1);
      while (ptx::load_acquire(block_.small.scratch.arrivals) < target_) {
      }
    }
    sync();
  }

  /// Tells the others that a tile or more of a vector is written.
  __device__ void count(int layer, Handoff handoff) const {
    ptx::add_relaxed(block_.small.scratch.counts + layer * kNumHandoffs + handoff, 1);
  }

  /// Waits until all of a vector has been counted; no consumer is still at what came before.
  __device__ void wait_count(int layer, Handoff handoff, int target) const {
    wait_for_count(block_.small.scratch.counts + layer * kNumHandoffs + handoff, target);
  }

  __device__ const __nv_bfloat16* token_row() const {
    return block_.args.embedding + static_cast<std::int64_t>(*block_.args.token) * shape_.hidden;
  }

  /// The token's rotation, and this block's rows of its embedding.
  __device__ void prepare() {
    if (thread_ < kHeadDim / 2) {
      double sine;
      double cosine;
      constexpr double kReciprocalPi = 0.31830988618379067;
      sincospi(position_ * block_.args.inverse_frequencies[thread_] * kReciprocalPi, &sine, &cosine);
      const double concentration = shape_.rope_concentration;
      block_.small.rope[thread_] = static_cast<float>(cosine * concentration);
      block_.small.rope[32 + thread_] = static_cast<float>(sine * concentration);
    }
    const int tile = thread_ / kPackedRows;
    const int row = (static_cast<int>(blockIdx.x) + tile * static_cast<int>(gridDim.x)) * kPackedRows +
                    thread_ % kPackedRows;
    if (tile < kMaxOwnTiles && row < shape_.hidden) {
      block_.small.x[tile][thread_ % kPackedRows] = __bfloat162float(token_row()[row]);
    }
  }

  __device__ void store_vector(
      std::byte* fragments, const float2 (&pairs)[kVectorPairs], int columns
  ) const {
    store_pairs(fragments, columns, pairs);
  }

  /// This thread's pairs times the norm's weights and a factor.
  __device__ void scale_pairs(
      float2 (&pairs)[kVectorPairs], const float2 (&weights)[kVectorPairs], float factor
  ) const {
#pragma unroll
    for (int i = 0; i < kVectorPairs; ++i) {
      pairs[i].x *= weights[i].x * factor;
      pairs[i].y *= weights[i].y * factor;
    }
  }

  /// This thread's pairs of a bf16 vector of hidden_size.
  __device__ void load_pairs(const __nv_bfloat16* vector, float2 (&pairs)[kVectorPairs]) const {
#pragma unroll
    for (int i = 0; i < kVectorPairs; ++i) {
      const int column = 2 * (thread_ + i * kConsumers);
      pairs[i] = column < shape_.hidden
                     ? __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(vector + column))
                     : float2{0, 0};
    }
  }

  /// The sum of every consumer's value.
  __device__ float sum_over_block(float value) const {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      value += __shfl_xor_sync(0xFFFFFFFFU, value, distance);
    }
    if (lane_.lane == 0) block_.small.warp_sums[thread_ / 32] = value;
    sync();
    float total = 0;
#pragma unroll
    for (const float sum : block_.small.warp_sums) total += sum;
    return total;
  }

  /// x where layer `index` begins, normalised, as the vector of the products that follow.
  __device__ void load_normed_x(int index, const __nv_bfloat16* norm) {
    float2 weights[kVectorPairs];
    float2 x[kVectorPairs];
    load_pairs(norm, weights);
    if (index == 0) {
      load_pairs(token_row(), x);
    } else {
      wait_count(index - 1, kX, (shape_.hidden + kPackedRows - 1) / kPackedRows);
      wait_pairs(block_.small.scratch.x, thread_, kConsumers, shape_.hidden / 2, tag_of(index - 1), x);
    }
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kVectorPairs; ++i) {
      if (2 * (thread_ + i * kConsumers) < shape_.hidden) {
        squares += x[i].x * x[i].x + x[i].y * x[i].y;
      }
    }
    squares = sum_over_block(squares);
    if (thread_ == 0) block_.small.squares[index] = squares;
    scale_pairs(x, weights, reciprocal_rms(squares, shape_));
    store_vector(block_.vectors, x, shape_.hidden);
    sync();
  }

  /// Sums the group's warps' results for the tile's `rows` rows: `value` is a warp's for row `row`, in
  /// lanes where `owns`. The total is in lane `row` of every warp.
  __device__ float reduce(int rows, float value, int row, bool owns) {
    float(&partials)[kWarpsPerGroup][kTileRows] = block_.small.partials[lane_.group][buffer_];
    buffer_ ^= 1;
    if (owns) partials[lane_.warp][row] = value;
    return sum_partials(partials, rows, lane_.group, lane_.lane);
  }

  __device__ int thread_of_group() const { return 32 * lane_.warp + lane_.lane; }

  /// Whether this lane writes the results of a tile of 8 rows.
  __device__ bool writes() const { return lane_.warp == 0 && lane_.lane < kPackedRows; }

  /// The group's tiles of a span: visit(tile, chunk).
  template <class Visit>
  __device__ void for_tiles(const Span& span, int chunks_per_tile, const Visit& visit) {
    const int turn = span.ordinal % kNumGroups;
    const int first = lane_.group - turn + (lane_.group < turn ? kNumGroups : 0);
#pragma unroll 1
    for (int i = first; i < span.count; i += kNumGroups) {
      visit(span.first + i * static_cast<int>(gridDim.x), span.chunk + i * chunks_per_tile);
    }
  }

  /// Multiplies this block's tiles of a dense matrix with the vector in shared memory. prefetch(row)
  /// runs before a tile's products, finish(row, sum, prefetched) after, both in every warp of the group,
  /// with row = the tile's first row + lane % 8, and the sum in lanes 0 to 7.
  template <class Prefetch, class Finish>
  __device__ void for_dense(
      const Span& span, const DenseCut& cut, int part_bytes, const Prefetch& prefetch, const Finish& finish
  ) {
    const std::byte* fragments = lane_fragments(block_.vectors, part_bytes, 64, lane_);
    for_tiles(span, cut.chunks, [&](int tile, int chunk) {
      const int row = tile * kPackedRows + (lane_.lane & (kPackedRows - 1));
      const auto prefetched = prefetch(row);
      const float sum = multiply_dense(block_.ring, chunk, cut, fragments, lane_);
      const float total = reduce(kPackedRows, sum, lane_.g, lane_.t == 0);
      finish(row, total, prefetched);
    });
  }

  /// Brings the cached keys and values that this warp will attend to first to L2.
  __device__ void prefetch_cache(const DecodeLayer& layer) const {
    const Splits splits(position_, static_cast<int>(layer.sliding_window), shape_.num_kv_heads);
    const int block = splits.first + thread_ / 32;
    if (splits.index >= splits.count || block > splits.last) return;
    constexpr int kLineElements = 64;
    static_assert(kBlockSize * kHeadDim == 16 * kLineElements);
    const __nv_bfloat16* cells = lane_.lane < 16 ? layer.keys : layer.values;
    ptx::prefetch_l2(cells + cell_of(layer, block) + lane_.lane % 16 * kLineElements);
  }

  /// Where the cell of a block and this thread block's key-value head begins.
  __device__ std::int64_t cell_of(const DecodeLayer& layer, int block) const {
    const std::int32_t* table =
        layer.sliding_window > 0 ? block_.args.sliding_table : block_.args.full_table;
    const int head = static_cast<int>(blockIdx.x) % shape_.num_kv_heads;
    return (static_cast<std::int64_t>(table[block]) * shape_.num_kv_heads + head) * kBlockSize * kHeadDim;
  }

  __device__ void project_qkv(int index, const DecodeLayer& layer) {
    prefetch_cache(layer);
    const DenseCut& cut = block_.small.qkv;
    for_dense(
        walk_.next(cut.num_tiles, cut.chunks), cut, fragment_part_bytes(shape_.hidden),
        [&](int row) { return __bfloat162float(layer.qkv_bias[row]); },
        [&](int row, float sum, float bias) {
          if (writes()) store_word(block_.small.scratch.qkv + row, sum + bias, tag_of(index));
          if (thread_of_group() == 0) count(index, kQkv);
        }
    );
  }

  __device__ void attend(int index, const DecodeLayer& layer);
  __device__ void load_new_token(int head, Word tag) const;
  __device__ void score_new_token(int group, int member) const;
  __device__ void store_key_value(const DecodeLayer& layer) const;
  __device__ void merge_element(
      const DecodeLayer& layer, const Splits& splits, int head, int member, int dim, Word tag
  ) const;

  /// This lane's row of x in the block's own memory.
  __device__ float& own_x(int tile) const {
    return block_.small.x[tile / static_cast<int>(gridDim.x)][lane_.lane & (kPackedRows - 1)];
  }

  /// What a row of x after attention needs, and the router's weights for its tile: a warp of the group
  /// has 32 experts, a lane one.
  struct RouterRow {
    float x;  // with the bias
    float norm;
    std::uint32_t weights[4];  // pairs of the tile's 8 columns
  };

  __device__ int router_expert() const { return 32 * lane_.warp + lane_.lane; }

  __device__ RouterRow router_row(const DecodeLayer& layer, int row) const {
    RouterRow router{};
    router.x = own_x(row / kPackedRows) + __bfloat162float(layer.attn_out_bias[row]);
    router.norm = __bfloat162float(layer.mlp_norm[row]);
    const int expert = router_expert();
    if (expert >= shape_.num_experts) return router;
    const int column = row & ~(kPackedRows - 1);
    const std::int64_t unit =
        expert / kPackedRows * units_per_row(shape_.hidden) + column / kUnitColumns;
    const std::byte* words = layer.router + unit * kUnitBytes + expert % kPackedRows * 64 +
                             column % 32 / 16 * 8 + column % 16 / 8 * 4;
#pragma unroll
    for (int t = 0; t < 4; ++t) {
      router.weights[t] = *reinterpret_cast<const std::uint32_t*>(words + 16 * t);
    }
    return router;
  }

  /// Adds the tile's share to the router's sums. `value` is the new x of lane's row, in lanes 0 to 7.
  __device__ void add_router_sums(
      int index, const RouterRow& router, float value, const FixedPointGrid& grid
  ) const {
    FixedPoint* sums = block_.layer_sums_of(index);
    float scaled[kPackedRows];
    float squares = lane_.lane < kPackedRows ? value * value : 0;
#pragma unroll
    for (int j = 0; j < kPackedRows; ++j) {
      scaled[j] = __shfl_sync(0xFFFFFFFFU, value * router.norm, j);
    }
#pragma unroll
    for (int distance = 4; distance > 0; distance /= 2) {
      squares += __shfl_xor_sync(0xFFFFFFFFU, squares, distance);
    }
    if (lane_.warp == 0 && lane_.lane == 0) {
      atomicAdd(sums + shape_.num_experts, grid.of_square(squares));
    }
    if (router_expert() >= shape_.num_experts) return;
    float sum = 0;
#pragma unroll
    for (int t = 0; t < 4; ++t) {
      const float2 pair =
          __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(&router.weights[t]));
      sum = fmaf(pair.x, scaled[2 * t], fmaf(pair.y, scaled[2 * t + 1], sum));
    }
    atomicAdd(sums + router_expert(), grid.of_product(sum));
  }

  __device__ void project_out(int index, const DecodeLayer& layer) {
    const int columns = shape_.num_heads * kHeadDim;
    float2 attention[kVectorPairs];
    wait_count(index, kAttention, shape_.num_kv_heads * kAttentionWarps);
    wait_pairs(block_.small.scratch.attention, thread_, kConsumers, columns / 2, tag_of(index), attention);
    store_vector(block_.vectors, attention, columns);
    sync();
    const FixedPointGrid grid = grid_of(block_.small.squares[index], shape_);
    const DenseCut& cut = block_.small.out;
    for_dense(
        walk_.next_rows(cut.num_tiles, cut.chunks), cut, fragment_part_bytes(columns),
        [&](int row) { return router_row(layer, row); },
        [&](int row, float sum, const RouterRow& router) {
          const float value = router.x + sum;
          if (writes()) {
            own_x(row / kPackedRows) = value;
            __stcg(block_.x_middle(index) + row, value);
          }
          add_router_sums(index, router, value, grid);
        }
    );
  }

  /// x after attention, normalised, as the vector of the experts' first products. `weights`: the norm's.
  __device__ void load_normed_middle(int index, const float2 (&weights)[kVectorPairs]) {
    float2 x[kVectorPairs];
    const float* middle = block_.x_middle(index);
#pragma unroll
    for (int i = 0; i < kVectorPairs; ++i) {
      const int column = 2 * (thread_ + i * kConsumers);
      if (column < shape_.hidden) x[i] = __ldcg(reinterpret_cast<const float2*>(middle + column));
    }
    const FixedPoint squares = __ldcg(block_.layer_sums_of(index) + shape_.num_experts);
    const FixedPointGrid grid = grid_of(block_.small.squares[index], shape_);
    scale_pairs(x, weights, reciprocal_rms(grid.square(squares), shape_) * kFp4VectorScale);
    store_vector(block_.vectors, x, shape_.hidden);
    sync();
  }

  __device__ void gate_up(int index, const DecodeLayer& layer) {
    const std::byte* fragments =
        lane_fragments(block_.vectors, fragment_part_bytes(shape_.hidden), 0, lane_);
    const int tiles = gate_up_tiles(shape_);
    for_tiles(walk_.next(kDecodeExperts * tiles, 1), 1, [&](int tile, int chunk) {
      const std::byte* stage = block_.ring.wait(chunk, lane_.lane);
      const int slot = tile / tiles;
      const int row = (tile - slot * tiles) * kPackedRowAlign + (lane_.lane & 15);
      const std::int64_t expert = block_.small.route.expert[slot];
      const float bias =
          __bfloat162float(layer.gate_up_bias[expert * 2 * shape_.intermediate + row]);
      const ExpertSums sums = multiply_record_pair(stage, shape_.hidden, fragments, lane_);
      block_.ring.release(chunk, lane_.lane);
      const float total = reduce(
          kTileRows, lane_.t == 0 ? sums.upper : sums.lower, lane_.g + 8 * lane_.t, lane_.t < 2
      );
      if (lane_.warp == 0) finish_gate_up(index, slot, row, total * kFp4SumScale + bias);
    });
  }

  /// SwiGLU of the tile's rows: even ones gate, odd ones are the linear part.
  __device__ void finish_gate_up(int index, int slot, int row, float value) const {
    const float linear = __shfl_down_sync(0xFFFFFFFFU, value, 1);
    const float limit = shape_.swiglu_limit;
    const float gate = fminf(value, limit);
    const float part = fminf(fmaxf(linear, -limit), limit);
    const float out = gate / (1.0F + __expf(-kSwigluAlpha * gate)) * (part + 1.0F);
    if (lane_.lane < kTileRows && lane_.lane % 2 == 0) {
      store_word(
          block_.small.scratch.hidden + slot * shape_.intermediate + row / 2, out, tag_of(index)
      );
    }
    if (lane_.lane == 0) count(index, static_cast<Handoff>(kHidden + slot));
  }

  /// Hidden vectors of some of the experts as operand B, each in its place, once they have come.
  __device__ void load_hidden(int index, int first_slot, int num_slots) const {
    sync();
    if (thread_ == 0) {
      const unsigned* counts = block_.small.scratch.counts + index * kNumHandoffs + kHidden;
      for (int slot = first_slot; slot < first_slot + num_slots; ++slot) {
        while (ptx::load_relaxed(counts + slot) < static_cast<unsigned>(gate_up_tiles(shape_))) {
        }
      }
    }
    sync();
    const int columns = shape_.intermediate;
    const int part = fragment_part_bytes(columns);
    const int num_pairs = num_slots * columns / 2;
#pragma unroll 1
    for (int first = thread_; first < num_pairs; first += kHiddenPairs * kConsumers) {
      float2 pairs[kHiddenPairs];
      wait_pairs(
          block_.small.scratch.hidden + first_slot * columns, first, kConsumers, num_pairs, tag_of(index),
          pairs
      );
#pragma unroll
      for (int i = 0; i < kHiddenPairs; ++i) {
        const int element = 2 * (first + i * kConsumers);
        if (element >= 2 * num_pairs) break;
        const int slot = element / columns;
        store_fragment(
            block_.vectors + (first_slot + slot) * 2 * part, part, element - slot * columns,
            pairs[i].x * kFp4VectorScale, pairs[i].y * kFp4VectorScale
        );
      }
    }
    const int padding = static_cast<int>(round_up(columns, kPackedColumnAlign)) - columns;
    for (int i = 2 * thread_; i < num_slots * padding; i += 2 * kConsumers) {
      const int slot = first_slot + i / padding;
      store_fragment(block_.vectors + slot * 2 * part, part, columns + i % padding, 0, 0);
    }
    sync();
  }

  __device__ void down(int index, int slot, const DecodeLayer& layer) {
    const int columns = shape_.intermediate;
    const std::byte* fragments = lane_fragments(
        block_.vectors + slot * fragment_bytes(columns), fragment_part_bytes(columns),
        fragment_middle(columns), lane_
    );
    for_tiles(walk_.next_rows(down_tiles(shape_), 1), 1, [&](int tile, int chunk) {
      const std::byte* stage = block_.ring.wait(chunk, lane_.lane);
      const int row = tile * kPackedRows + (lane_.lane & (kPackedRows - 1));
      const std::int64_t expert = block_.small.route.expert[slot];
      const float weight = block_.small.route.weight[slot];
      const float bias = __bfloat162float(layer.down_bias[expert * shape_.hidden + row]);
      const float sum = multiply_record(stage, columns, fragments, lane_);
      block_.ring.release(chunk, lane_.lane);
      const float total = reduce(kPackedRows, sum, lane_.g, lane_.t == 0);
      if (writes()) {
        const float value = fmaf(weight, fmaf(total, kFp4SumScale, bias), own_x(tile));
        own_x(tile) = value;
        if (slot == kDecodeExperts - 1) store_word(block_.small.scratch.x + row, value, tag_of(index));
      }
      if (slot == kDecodeExperts - 1 && thread_of_group() == 0) count(index, kX);
    });
  }

  __device__ void unembed() {
    const DenseCut& cut = block_.small.head;
    for_dense(
        walk_.next(cut.num_tiles, cut.chunks), cut, fragment_part_bytes(shape_.hidden),
        [](int) { return 0; },
        [&](int row, float sum, int) {
          if (writes() && row < shape_.vocab) __stcg(block_.args.logits + row, sum);
        }
    );
  }

  const Block& block_;
  const DecodeShape& shape_;
  const int thread_;
  const int position_;  // of the token
  Lane lane_;
  Walk walk_;
  unsigned target_ = 0;
  int buffer_ = 0;
};

/// Brings the token's queries of a key-value head, its key and its value into shared memory.
__device__ void Consumer::load_new_token(int head, Word tag) const {
  const int group = shape_.num_heads / shape_.num_kv_heads;
  NewToken& token = block_.small.token;
  const Word* qkv = block_.small.scratch.qkv;
  const Word* key = qkv + (shape_.num_heads + head) * kHeadDim;
  const Word* value = key + shape_.num_kv_heads * kHeadDim;
  for (int i = thread_; i < group * kHeadDim; i += kConsumers) {
    token.queries[i / kHeadDim][i % kHeadDim] = wait_word(qkv + head * group * kHeadDim + i, tag);
  }
  if (thread_ < kHeadDim) token.key[thread_] = wait_word(key + thread_, tag);
  if (thread_ >= kConsumers - kHeadDim) {
    const int dim = thread_ - (kConsumers - kHeadDim);
    token.value[dim] = wait_word(value + dim, tag);
  }
  sync();
}

/// The score of a head of the group with the token's own key, by one warp.
__device__ void Consumer::score_new_token(int group, int member) const {
  if (member >= group) return;
  NewToken& token = block_.small.token;
  const float cosine = block_.small.rope[lane_.lane];
  const float sine = block_.small.rope[32 + lane_.lane];
  const float* query = token.queries[member];
  const float2 q = rotate_pair(query[lane_.lane], query[32 + lane_.lane], cosine, sine);
  const float2 k = rotate_pair(token.key[lane_.lane], token.key[32 + lane_.lane], cosine, sine);
  float score = q.x * k.x + q.y * k.y;
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    score += __shfl_xor_sync(0xFFFFFFFFU, score, distance);
  }
  if (lane_.lane == 0) token.scores[member] = score * kScoreScale;
}

/// Writes the token's key, rotated, and its value into their cell of the cache.
__device__ void Consumer::store_key_value(const DecodeLayer& layer) const {
  const NewToken& token = block_.small.token;
  if (thread_ >= kHeadDim) return;
  const int offset = position_ % kBlockSize;
  const std::int64_t cell = cell_of(layer, position_ / kBlockSize);
  layer.values[cell + thread_ * kBlockSize + offset] =
      __float2bfloat16(token.value[thread_]);
  if (thread_ >= kHeadDim / 2) return;
  const float2 pair = rotate_pair(
      token.key[thread_], token.key[32 + thread_], block_.small.rope[thread_],
      block_.small.rope[32 + thread_]
  );
  __nv_bfloat16* key = layer.keys + cell + offset * kHeadDim;
  key[thread_] = __float2bfloat16(pair.x);
  key[32 + thread_] = __float2bfloat16(pair.y);
}

/// A part of a key-value head's attention: this block's cache blocks, a warp one at a time, and in the last
/// part the token's own key; then all warps' results together, and all parts' in the first part's block.
__device__ void Consumer::attend(int index, const DecodeLayer& layer) {
  const Splits splits(position_, static_cast<int>(layer.sliding_window), shape_.num_kv_heads);
  if (splits.index >= splits.count) return;
  const int head = static_cast<int>(blockIdx.x) % shape_.num_kv_heads;
  const int group = shape_.num_heads / shape_.num_kv_heads;
  const int warp = thread_ / 32;
  int block = splits.first + warp;
  wait_count(index, kQkv, (block_.qkv_rows() + kPackedRows - 1) / kPackedRows);
  load_new_token(head, tag_of(index));
  if (warp < 4) {
    block_.small.token.operands[warp][lane_.lane] =
        query_operand(block_.small.token, group, block_.small.rope, warp, lane_.lane);
  } else if (splits.index == splits.count - 1) {
    score_new_token(group, warp - 4);
  }
  sync();
  SoftmaxState state;
  if (block <= splits.last) {
    CachedBlock cached;
    std::int64_t cell = cell_of(layer, block);
    cached.load(layer.keys + cell, layer.values + cell, lane_.lane);
    for (;;) {
      attend_block(block_.small.token, cached, block * kBlockSize, splits.begin, position_, lane_.lane, state);
      block += kAttentionWarps;
      if (block > splits.last) break;
      cell = cell_of(layer, block);
      cached.load(layer.keys + cell, layer.values + cell, lane_.lane);
    }
    store_partial(
        state, reinterpret_cast<float*>(block_.vectors) + warp * kMaxGroup * kPartialFloats, lane_.lane
    );
  }
  sync();
#pragma unroll 1
  for (int i = thread_; i < group * kHeadDim; i += kConsumers) {
    merge_element(layer, splits, head, i / kHeadDim, i % kHeadDim, tag_of(index));
  }
  if (splits.index == 0 && lane_.lane == 0) count(index, kAttention);
  if (splits.index == splits.count - 1) store_key_value(layer);
}

/// An element of a query head's output: this block's warps' results together, and in the first split's block
/// those of all splits, in their order; the others leave theirs for it.
__device__ void Consumer::merge_element(
    const DecodeLayer& layer, const Splits& splits, int head, int member, int dim, Word tag
) const {
  const NewToken& token = block_.small.token;
  Merged merged = merge_warps(
      reinterpret_cast<const float*>(block_.vectors) + member * kPartialFloats, dim,
      min(kAttentionWarps, splits.last - splits.first + 1)
  );
  if (splits.index == splits.count - 1) merged.add(token.value[dim], token.scores[member], 1.0F);
  Word* partials =
      block_.small.scratch.partials + (head * kMaxSplits * kMaxGroup + member) * kPartialFloats;
  if (splits.index > 0) {
    Word* own = partials + splits.index * kMaxGroup * kPartialFloats;
    store_word(own + dim, merged.out, tag);
    if (dim == 0) store_word(own + kHeadDim, merged.maximum, tag);
    if (dim == 1) store_word(own + kHeadDim + 1, merged.sum, tag);
    return;
  }
#pragma unroll 1
  for (int split = 1; split < splits.count; ++split) {
    const Word* other = partials + split * kMaxGroup * kPartialFloats;
    const float out = wait_word(other + dim, tag);
    const float maximum = wait_word(other + kHeadDim, tag);
    const float sum = wait_word(other + kHeadDim + 1, tag);
    merged.add(out, maximum, sum);
  }
  const int query_head = head * (shape_.num_heads / shape_.num_kv_heads) + member;
  const float sink = __bfloat162float(layer.sinks[query_head]);
  store_word(
      block_.small.scratch.attention + query_head * kHeadDim + dim, merged.finish(sink), tag
  );
}

__global__ void __launch_bounds__(kDecodeThreads, 1) decode_step(const __grid_constant__ DecodeStepArgs args) {
  extern __shared__ __align__(128) std::byte shared[];
  const Block block(args, shared);
  if (threadIdx.x == 0) {
    block.ring.init();
    block.small.scratch = DecodeScratch(args.scratch, args.shape);
    block.small.qkv = DenseCut(block.qkv_rows(), args.shape.hidden);
    block.small.out = DenseCut(args.shape.hidden, args.shape.num_heads * kHeadDim);
    block.small.head = DenseCut(args.shape.vocab, args.shape.hidden);
  }
  const auto* layers = reinterpret_cast<const std::uint64_t*>(args.layers);
  const int num_words = args.shape.num_layers * static_cast<int>(sizeof(DecodeLayer) / 8);
  for (int i = threadIdx.x; i < num_words; i += kDecodeThreads) {
    reinterpret_cast<std::uint64_t*>(block.small.layers)[i] = layers[i];
  }
  __syncthreads();
  if (threadIdx.x >= kConsumers) {
    produce(block);
  } else {
    Consumer(block).run();
  }
}

}  // namespace

std::size_t decode_scratch_bytes(const DecodeShape& shape) {
  return DecodeScratch(nullptr, shape).bytes;
}

bool can_decode_persistently(const DecodeShape& shape, int device) {
  int major = 0;
  int shared = 0;
  int num_blocks = 0;
  check(
      cudaDeviceGetAttribute(&num_blocks, cudaDevAttrMultiProcessorCount, device),
      "cudaDeviceGetAttribute"
  );
  check(
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
      "cudaDeviceGetAttribute"
  );
  check(
      cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
      "cudaDeviceGetAttribute"
  );
  return major >= 9 && shared_bytes(shape) <= static_cast<std::size_t>(shared) &&
         shape.num_layers <= kMaxDecodeLayers && shape.num_experts <= 128 &&
         shape.num_experts >= kDecodeExperts && shape.num_heads <= kMaxGroup * shape.num_kv_heads &&
         shape.hidden <= kMaxDenseColumns && shape.num_heads * kHeadDim <= kMaxDenseColumns &&
         shape.hidden <= kMaxOwnTiles * kPackedRows * num_blocks &&
         num_blocks >= shape.num_kv_heads &&
         2 * fp4_record_bytes(shape.hidden) <= kStageBytes &&
         2 * fp4_record_bytes(shape.intermediate) <= kStageBytes;
}

int prepare_decode_step(const DecodeShape& shape, int device) {
  int num_blocks = 0;
  check(
      cudaDeviceGetAttribute(&num_blocks, cudaDevAttrMultiProcessorCount, device),
      "cudaDeviceGetAttribute"
  );
  check(
      cudaFuncSetAttribute(
          decode_step,
          cudaFuncAttributeMaxDynamicSharedMemorySize,
          static_cast<int>(shared_bytes(shape))
      ),
      "cudaFuncSetAttribute"
  );
  return num_blocks;
}

void launch_decode_step(const DecodeStepArgs& args, int num_blocks, cudaStream_t stream) {
  const DecodeScratch scratch(args.scratch, args.shape);
  check(cudaMemsetAsync(args.scratch, 0, scratch.bytes, stream), "cudaMemsetAsync");
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = num_blocks;
  config.blockDim = kDecodeThreads;
  config.dynamicSmemBytes = shared_bytes(args.shape);
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, decode_step, args), "decode_step");
}

}  // namespace gossamer::kernels::cuda
