// A decode step of one token as one persistent kernel: one block a multiprocessor, each streaming its share
// of all weights through a ring in shared memory (decode_ring.cuh) from the first layer to the
// unembedding, while 16 warps multiply (decode_products.cuh).
//
// A layer is five phases with a barrier of the whole grid after each:
//   1. y = W_qkv RMSNorm(x) + b
//   2. attention of one key-value head a block (decode_attention.cuh); the new key and value are stored
//   3. x += W_o a + b; on the way sums for the router, W_r (scale x), and of squares
//   4. hidden = SwiGLU(W_gate_up RMSNorm(x) + b) for the chosen experts
//   5. x += sum_e weight_e (W_down hidden_e + b)
// The producer runs ahead of the barriers: weights depend on nothing but, for the experts, the routing,
// which the producer's warp computes for itself.
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

constexpr int kBarriersPerLayer = 5;
constexpr int kConsumerBarrier = 1;     // named barrier of all consumers
constexpr int kFirstGroupBarrier = 2;   // and of each group
constexpr int kTileRows = 16;           // results of a tile at most
constexpr float kSwigluAlpha = 1.702F;

/// Shared memory behind the ring's stages and the vectors.
struct SmallShared {
  RingState ring;
  float partials[kNumGroups][2][kWarpsPerGroup][kTileRows];
  float rope[kHeadDim];
  float warp_sums[kNumGroups * kWarpsPerGroup];
  DecodeLayer layers[kMaxDecodeLayers];
  Route route;
  int is_last;
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

/// What producer and consumers of a block share.
struct Block {
  const DecodeStepArgs& args;
  const DecodeShape& shape;
  DecodeScratch scratch;
  std::byte* vectors;
  SmallShared& small;
  Ring ring;

  __device__ Block(const DecodeStepArgs& step, std::byte* shared)
      : args(step),
        shape(step.shape),
        scratch(step.scratch, step.shape),
        vectors(shared + kNumStages * kStageBytes),
        small(*reinterpret_cast<SmallShared*>(vectors + vector_bytes(step.shape))),
        ring(shared, small.ring) {}

  __device__ FixedPoint* layer_sums_of(int layer) const {
    return scratch.sums + layer * layer_sums(shape.num_experts);
  }
  __device__ int qkv_rows() const { return (shape.num_heads + 2 * shape.num_kv_heads) * kHeadDim; }
};

__device__ float reciprocal_rms(float sum_of_squares, const DecodeShape& shape) {
  return rsqrtf(sum_of_squares / static_cast<float>(shape.hidden) + shape.rms_norm_eps);
}

/// The grid on which layer `layer` sums, and the reciprocal RMS of x where it begins.
struct LayerStart {
  float reciprocal;
  FixedPointGrid grid;

  __device__ LayerStart(float sum_of_squares, const DecodeShape& shape)
      : reciprocal(reciprocal_rms(sum_of_squares, shape)), grid(1.0F / reciprocal) {}
};

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
  for (int rank = 0; rank < kDecodeExperts; ++rank) {
    route.weight[rank] = __expf(values[rank] - values[0]);
    sum += route.weight[rank];
  }
  for (float& weight : route.weight) weight /= sum;
  return route;
}

/// The sum of squares of the token's embedding, by one warp; the same in every lane and block.
__device__ float embedding_squares(const DecodeStepArgs& args, int lane) {
  const auto* row = reinterpret_cast<const __nv_bfloat162*>(
      args.embedding + static_cast<std::int64_t>(*args.token) * args.shape.hidden
  );
  float sum = 0;
  for (int i = lane; i < args.shape.hidden / 2; i += 32) {
    const float2 pair = __bfloat1622float2(row[i]);
    sum += pair.x * pair.x + pair.y * pair.y;
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    sum += __shfl_xor_sync(0xFFFFFFFFU, sum, distance);
  }
  return sum;
}

/// Where a layer begins: from the embedding, or from what the layer before summed up.
__device__ LayerStart start_of_layer(
    const Block& block, int layer, float token_squares, const FixedPointGrid& previous
) {
  if (layer == 0) return LayerStart(token_squares, block.shape);
  const FixedPoint squares = __ldcg(block.layer_sums_of(layer - 1) + block.shape.num_experts + 1);
  return LayerStart(previous.square(squares), block.shape);
}

/// Chooses a layer's experts from the router's sums.
__device__ Route route_layer(const Block& block, int layer, const LayerStart& start, int lane) {
  const DecodeShape& shape = block.shape;
  const FixedPoint* sums = block.layer_sums_of(layer);
  const float squares = start.grid.square(__ldcg(sums + shape.num_experts));
  const float reciprocal = reciprocal_rms(squares, shape);
  const __nv_bfloat16* bias = block.small.layers[layer].router_bias;
  float logits[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int expert = lane + 32 * i;
    logits[i] = -INFINITY;
    if (expert < shape.num_experts) {
      logits[i] = fmaf(
          start.grid.product(__ldcg(sums + expert)), reciprocal, __bfloat162float(bias[expert])
      );
    }
  }
  return choose_experts(logits, lane);
}

/// The producer's warp: one lane streams, all choose experts.
__device__ void produce(const Block& block) {
  const int lane = threadIdx.x % 32;
  const DecodeShape& shape = block.shape;
  const std::uint64_t policy = ptx::evict_first_policy();
  const float token_squares = embedding_squares(block.args, lane);
  LayerStart start(token_squares, shape);
  Walk walk;
  for (int i = 0; i < shape.num_layers; ++i) {
    const DecodeLayer& layer = block.small.layers[i];
    if (lane == 0) {
      stream_dense(block.ring, walk, layer.qkv, block.qkv_rows(), shape.hidden, policy);
      stream_dense(
          block.ring, walk, layer.attn_out, shape.hidden, shape.num_heads * kHeadDim, policy
      );
    }
    __syncwarp();
    // The barrier after phase 3: x and the router's sums are complete.
    const unsigned routed = (i * kBarriersPerLayer + 3) * gridDim.x;
    while (ptx::load_acquire(block.scratch.arrivals) < routed) {
    }
    __syncwarp();
    start = start_of_layer(block, i, token_squares, start.grid);
    const Route route = route_layer(block, i, start, lane);
    if (lane == 0) {
      block.small.route = route;
      stream_gate_up(block.ring, walk, layer, shape, route, policy);
      stream_down(block.ring, walk, layer, shape, route, policy);
    }
    __syncwarp();
  }
  if (lane == 0) {
    stream_dense(block.ring, walk, block.args.unembedding, shape.vocab, shape.hidden, policy);
  }
}

// --- consumers ---

/// The warps that multiply.
class Consumer {
 public:
  __device__ explicit Consumer(const Block& block)
      : block_(block), shape_(block.shape), thread_(static_cast<int>(threadIdx.x)) {}

  __device__ void run() {
    prepare();
    const float token_squares = embedding_squares(block_.args, lane_.lane);
    LayerStart start(token_squares, shape_);
    for (int i = 0; i < shape_.num_layers; ++i) {
      const DecodeLayer& layer = block_.small.layers[i];
      start = start_of_layer(block_, i, token_squares, start.grid);
      project_qkv(i, layer, start);
      grid_barrier();
      attend(layer);
      grid_barrier();
      project_out(i, layer, start.grid);
      grid_barrier();
      gate_up(i, layer, start.grid);
      grid_barrier();
      down(i, layer, start.grid);
      grid_barrier();
    }
    const LayerStart end = start_of_layer(block_, shape_.num_layers, token_squares, start.grid);
    unembed(end.reciprocal);
  }

 private:
  __device__ void sync() const { ptx::named_barrier(kConsumerBarrier, kConsumers); }

  /// Every block's consumers have arrived, and see what the others wrote.
  __device__ void grid_barrier() {
    target_ += gridDim.x;
    sync();
    if (thread_ == 0) {
      ptx::add_release(block_.scratch.arrivals, 1);
      while (ptx::load_acquire(block_.scratch.arrivals) < target_) {
      }
    }
    sync();
  }

  /// The token's rotation; the first block writes the residual stream's beginning.
  __device__ void prepare() {
    if (thread_ < kHeadDim / 2) {
      const double angle = *block_.args.position * block_.args.inverse_frequencies[thread_];
      double sine;
      double cosine;
      sincos(angle, &sine, &cosine);
      const double concentration = shape_.rope_concentration;
      block_.small.rope[thread_] = static_cast<float>(cosine * concentration);
      block_.small.rope[32 + thread_] = static_cast<float>(sine * concentration);
    }
    if (blockIdx.x == 0) {
      for (int i = thread_; i < shape_.hidden; i += kConsumers) {
        __stcg(block_.scratch.x + i, __bfloat162float(token_row()[i]));
      }
    }
  }

  __device__ const __nv_bfloat16* token_row() const {
    return block_.args.embedding + static_cast<std::int64_t>(*block_.args.token) * shape_.hidden;
  }

  /// Loads a vector into shared memory as operand B: value(column) gives elements column, column + 1.
  /// Columns past the end, up to what the packed weights have, are zeros.
  template <class Value>
  __device__ void load_vector(std::byte* fragments, int columns, const Value& value) const {
    const int padded = static_cast<int>(round_up(columns, kPackedColumnAlign));
    const int part = fragment_part_bytes(columns);
    for (int column = 2 * thread_; column < padded; column += 2 * kConsumers) {
      const float2 pair = column < columns ? value(column) : float2{0, 0};
      store_fragment(fragments, part, column, pair.x, pair.y);
    }
  }

  /// x, normalised, as the vector of the products that follow.
  __device__ void load_normed(
      const float* x, const __nv_bfloat16* norm, float reciprocal, float factor
  ) const {
    const float scale = reciprocal * factor;
    load_vector(block_.vectors, shape_.hidden, [&](int column) {
      const float2 pair = __ldcg(reinterpret_cast<const float2*>(x + column));
      const float2 weight =
          __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(norm + column));
      return float2{pair.x * weight.x * scale, pair.y * weight.y * scale};
    });
    sync();
  }

  /// Sums the group's warps' results for the tile's `rows` rows: `value` is a warp's for row `row`, in
  /// lanes where `owns`. The total is in lane `row` of every warp.
  __device__ float reduce(int rows, float value, int row, bool owns) {
    float(&partials)[kWarpsPerGroup][kTileRows] = block_.small.partials[lane_.group][buffer_];
    buffer_ ^= 1;
    if (owns) partials[lane_.warp][row] = value;
    ptx::named_barrier(kFirstGroupBarrier + lane_.group, 32 * kWarpsPerGroup);
    float total = 0;
    if (lane_.lane < rows) {
#pragma unroll
      for (int warp = 0; warp < kWarpsPerGroup; ++warp) total += partials[warp][lane_.lane];
    }
    return total;
  }

  /// Whether this lane writes the results of a tile of 8 rows.
  __device__ bool writes() const { return lane_.warp == 0 && lane_.lane < kPackedRows; }

  /// The group's tiles of a span: visit(tile, chunk).
  template <class Visit>
  __device__ void for_tiles(const Span& span, int chunks_per_tile, const Visit& visit) {
    for (int i = (lane_.group - span.ordinal) & (kNumGroups - 1); i < span.count; i += kNumGroups) {
      visit(span.first + i * static_cast<int>(gridDim.x), span.chunk + i * chunks_per_tile);
    }
  }

  /// Multiplies this block's tiles of a dense matrix with the vector in shared memory. prefetch(row)
  /// runs before a tile's products, finish(row, sum, prefetched) after, both in every warp of the group,
  /// with row = the tile's first row + lane % 8, and the sum in lanes 0 to 7.
  template <class Prefetch, class Finish>
  __device__ void for_dense(int rows, int columns, const Prefetch& prefetch, const Finish& finish) {
    const DenseCut cut(rows, columns);
    const Span span = walk_.next(cut.num_tiles, cut.chunks);
    const std::byte* fragments =
        lane_fragments(block_.vectors, fragment_part_bytes(columns), 64, lane_);
    for_tiles(span, cut.chunks, [&](int tile, int chunk) {
      const int row = tile * kPackedRows + (lane_.lane & (kPackedRows - 1));
      const auto prefetched = prefetch(row);
      const float sum = multiply_dense(block_.ring, chunk, cut, fragments, lane_);
      const float total = reduce(kPackedRows, sum, lane_.g, lane_.t == 0);
      finish(row, total, prefetched);
    });
  }

  __device__ void project_qkv(int index, const DecodeLayer& layer, const LayerStart& start) {
    if (index == 0) {
      load_vector(block_.vectors, shape_.hidden, [&](int column) {
        const float2 pair =
            __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(token_row() + column));
        const float2 weight =
            __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(layer.attn_norm + column));
        return float2{
            pair.x * weight.x * start.reciprocal, pair.y * weight.y * start.reciprocal};
      });
      sync();
    } else {
      load_normed(block_.scratch.x, layer.attn_norm, start.reciprocal, 1.0F);
    }
    for_dense(
        block_.qkv_rows(), shape_.hidden, [&](int row) { return __bfloat162float(layer.qkv_bias[row]); },
        [&](int row, float sum, float bias) {
          if (writes()) __stcg(block_.scratch.qkv + row, sum + bias);
        }
    );
  }

  __device__ void attend(const DecodeLayer& layer);
  __device__ void store_key_value(const DecodeLayer& layer, int head, int block, int offset) const;
  __device__ void merge_attention(const DecodeLayer& layer, int head, int split, int splits);

  /// What a row of x after attention needs, and the router's weights for its tile: a warp of the group
  /// has 32 experts, a lane one.
  struct RouterRow {
    float bias;
    float x;
    float norm;
    std::uint32_t weights[4];  // pairs of the tile's 8 columns
  };

  __device__ int router_expert() const { return 32 * lane_.warp + lane_.lane; }

  __device__ RouterRow router_row(const DecodeLayer& layer, int row) const {
    RouterRow router{};
    router.bias = __bfloat162float(layer.attn_out_bias[row]);
    router.x = __ldcg(block_.scratch.x + row);
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

  __device__ void project_out(int index, const DecodeLayer& layer, const FixedPointGrid& grid) {
    load_vector(block_.vectors, shape_.num_heads * kHeadDim, [&](int column) {
      return __ldcg(reinterpret_cast<const float2*>(block_.scratch.attention + column));
    });
    sync();
    for_dense(
        shape_.hidden, shape_.num_heads * kHeadDim, [&](int row) { return router_row(layer, row); },
        [&](int row, float sum, const RouterRow& router) {
          const float value = router.x + sum + router.bias;
          if (writes()) __stcg(block_.scratch.x + row, value);
          add_router_sums(index, router, value, grid);
        }
    );
  }

  __device__ void gate_up(int index, const DecodeLayer& layer, const FixedPointGrid& grid) {
    const FixedPoint squares = __ldcg(block_.layer_sums_of(index) + shape_.num_experts);
    load_normed(
        block_.scratch.x, layer.mlp_norm, reciprocal_rms(grid.square(squares), shape_), kFp4VectorScale
    );
    const int tiles_per_expert = 2 * shape_.intermediate / kPackedRowAlign;
    const Span span = walk_.next(kDecodeExperts * tiles_per_expert, 1);
    const std::byte* fragments =
        lane_fragments(block_.vectors, fragment_part_bytes(shape_.hidden), 0, lane_);
    for_tiles(span, 1, [&](int tile, int chunk) {
      const std::byte* stage = block_.ring.wait(chunk);
      const int slot = tile / tiles_per_expert;
      const int row = tile % tiles_per_expert * kPackedRowAlign + (lane_.lane & 15);
      const std::int64_t expert = block_.small.route.expert[slot];
      const float bias =
          __bfloat162float(layer.gate_up_bias[expert * 2 * shape_.intermediate + row]);
      ExpertSums sums;
      multiply_records(stage, shape_.hidden, fragments, lane_, sums);
      block_.ring.release(chunk, lane_.lane);
      const float total = reduce(
          kTileRows, lane_.t == 0 ? sums.upper : sums.lower, lane_.g + 8 * lane_.t, lane_.t < 2
      );
      if (lane_.warp == 0) finish_gate_up(slot, row, total * kFp4SumScale + bias);
    });
  }

  /// SwiGLU of the tile's rows: even ones gate, odd ones are the linear part.
  __device__ void finish_gate_up(int slot, int row, float value) const {
    const float linear = __shfl_down_sync(0xFFFFFFFFU, value, 1);
    const float limit = shape_.swiglu_limit;
    const float gate = fminf(value, limit);
    const float part = fminf(fmaxf(linear, -limit), limit);
    const float out = gate / (1.0F + __expf(-kSwigluAlpha * gate)) * (part + 1.0F);
    if (lane_.lane < kTileRows && lane_.lane % 2 == 0) {
      __stcg(block_.scratch.hidden + slot * shape_.intermediate + row / 2, out);
    }
  }

  __device__ void down(int index, const DecodeLayer& layer, const FixedPointGrid& grid) {
    const int columns = shape_.intermediate;
    for (int slot = 0; slot < kDecodeExperts; ++slot) {
      const float* hidden = block_.scratch.hidden + slot * columns;
      load_vector(block_.vectors + slot * fragment_bytes(columns), columns, [&](int column) {
        const float2 pair = __ldcg(reinterpret_cast<const float2*>(hidden + column));
        return float2{pair.x * kFp4VectorScale, pair.y * kFp4VectorScale};
      });
    }
    sync();
    const Span span = walk_.next((shape_.hidden + kPackedRows - 1) / kPackedRows, 2);
    for_tiles(span, 2, [&](int tile, int chunk) {
      const int row = tile * kPackedRows + (lane_.lane & (kPackedRows - 1));
      block_.ring.wait(chunk);  // and with it for the route
      const float before = down_bias(layer, row) + __ldcg(block_.scratch.x + row);
      float sum = 0;
      for (int pair = 0; pair < 2; ++pair) {
        const std::byte* stage = block_.ring.wait(chunk + pair);
        const std::byte* fragments = lane_fragments(
            block_.vectors + 2 * pair * fragment_bytes(columns), fragment_part_bytes(columns),
            fragment_bytes(columns), lane_
        );
        ExpertSums sums;
        multiply_records(stage, columns, fragments, lane_, sums);
        block_.ring.release(chunk + pair, lane_.lane);
        const float* weights = block_.small.route.weight + 2 * pair;
        sum += join_halves(sums.upper * weights[0], sums.lower * weights[1], lane_);
      }
      const float total = reduce(kPackedRows, sum, lane_.g, lane_.t == 0);
      if (lane_.warp == 0) finish_down(index, row, fmaf(total, kFp4SumScale, before), grid);
    });
  }

  /// The experts' biases of a row, weighted.
  __device__ float down_bias(const DecodeLayer& layer, int row) const {
    float bias = 0;
    for (int slot = 0; slot < kDecodeExperts; ++slot) {
      const std::int64_t expert = block_.small.route.expert[slot];
      bias = fmaf(
          block_.small.route.weight[slot], __bfloat162float(layer.down_bias[expert * shape_.hidden + row]),
          bias
      );
    }
    return bias;
  }

  __device__ void finish_down(int index, int row, float value, const FixedPointGrid& grid) const {
    float squares = 0;
    if (lane_.lane < kPackedRows) {
      __stcg(block_.scratch.x + row, value);
      squares = value * value;
    }
#pragma unroll
    for (int distance = 4; distance > 0; distance /= 2) {
      squares += __shfl_xor_sync(0xFFFFFFFFU, squares, distance);
    }
    if (lane_.lane == 0) {
      atomicAdd(block_.layer_sums_of(index) + shape_.num_experts + 1, grid.of_square(squares));
    }
  }

  __device__ void unembed(float reciprocal) {
    load_normed(block_.scratch.x, block_.args.norm, reciprocal, 1.0F);
    for_dense(
        shape_.vocab, shape_.hidden, [](int) { return 0; },
        [&](int row, float sum, int) {
          if (writes() && row < shape_.vocab) __stcg(block_.args.logits + row, sum);
        }
    );
  }

  const Block& block_;
  const DecodeShape& shape_;
  const int thread_;
  Lane lane_;
  Walk walk_;
  unsigned target_ = 0;
  int buffer_ = 0;
};

/// Writes the new token's key, rotated, and value into their cell: threads 0 to 63 of the block.
__device__ void Consumer::store_key_value(
    const DecodeLayer& layer, int head, int block, int offset
) const {
  if (thread_ >= kHeadDim) return;
  const float* key = block_.scratch.qkv + (shape_.num_heads + head) * kHeadDim;
  const float* value = key + shape_.num_kv_heads * kHeadDim;
  const std::int64_t cell = static_cast<std::int64_t>(block) * shape_.num_kv_heads + head;
  layer.values[(cell * kHeadDim + thread_) * kBlockSize + offset] =
      __float2bfloat16(__ldcg(value + thread_));
  if (thread_ >= kHeadDim / 2) return;
  const float2 pair = rotate_pair(
      __ldcg(key + thread_), __ldcg(key + 32 + thread_), block_.small.rope[thread_],
      block_.small.rope[32 + thread_]
  );
  __nv_bfloat16* out = layer.keys + (cell * kBlockSize + offset) * kHeadDim;
  out[thread_] = __float2bfloat16(pair.x);
  out[32 + thread_] = __float2bfloat16(pair.y);
}

__device__ void Consumer::attend(const DecodeLayer& layer) {
  const int position = *block_.args.position;
  const int window = static_cast<int>(layer.sliding_window);
  const std::int32_t* table = window > 0 ? block_.args.sliding_table : block_.args.full_table;
  const int begin = window > 0 ? max(0, position + 1 - window) : 0;
  const int first = begin / kBlockSize;
  const int last = position / kBlockSize;
  const int grid_splits = min(kMaxSplits, static_cast<int>(gridDim.x) / shape_.num_kv_heads);
  const int wanted = (last - first) / kBlocksPerSplit + 1;
  const int per_split = (last - first + max(1, min(wanted, grid_splits))) / max(1, min(wanted, grid_splits));
  const int splits = (last - first) / per_split + 1;
  const int head = static_cast<int>(blockIdx.x) % shape_.num_kv_heads;
  const int split = static_cast<int>(blockIdx.x) / shape_.num_kv_heads;
  if (split >= splits) return;
  if (split == splits - 1) {
    store_key_value(layer, head, table[last], position % kBlockSize);
    sync();
  }
  const int warp = thread_ / 32;
  const int group = shape_.num_heads / shape_.num_kv_heads;
  const Queries queries = load_queries(
      block_.scratch.qkv + head * group * kHeadDim, group, block_.small.rope, lane_.lane
  );
  SoftmaxState state;
  const int stop = min(last, first + (split + 1) * per_split - 1);
  for (int b = first + split * per_split + warp; b <= stop; b += kAttentionWarps) {
    const std::int64_t cell = static_cast<std::int64_t>(table[b]) * shape_.num_kv_heads + head;
    attend_block(
        queries, layer.keys + cell * kBlockSize * kHeadDim, layer.values + cell * kBlockSize * kHeadDim,
        b * kBlockSize, begin, position + 1, lane_.lane, state
    );
  }
  float* partials = reinterpret_cast<float*>(block_.vectors);
  store_partial(state, partials + warp * kMaxGroup * kPartialFloats, lane_.lane);
  sync();
  merge_attention(layer, head, split, splits);
}

/// Puts the warps' partial results together, and the splits' if there are several: the last block of a
/// head's splits to arrive does it, in the order of splits.
__device__ void Consumer::merge_attention(const DecodeLayer& layer, int head, int split, int splits) {
  static_assert(kConsumers == kMaxGroup * kHeadDim);
  const int group = shape_.num_heads / shape_.num_kv_heads;
  const int member = thread_ / kHeadDim;
  const int dim = thread_ % kHeadDim;
  const float* mine = reinterpret_cast<const float*>(block_.vectors) + member * kPartialFloats;
  Merged merged;
  for (int warp = 0; warp < kAttentionWarps; ++warp, mine += kMaxGroup * kPartialFloats) {
    merged.add(mine[dim], mine[kHeadDim], mine[kHeadDim + 1]);
  }
  if (splits > 1) {
    float* all = block_.scratch.partials + (head * kMaxSplits * kMaxGroup + member) * kPartialFloats;
    float* own = all + split * kMaxGroup * kPartialFloats;
    __stcg(own + dim, merged.out);
    if (dim == 0) {
      __stcg(own + kHeadDim, merged.maximum);
      __stcg(own + kHeadDim + 1, merged.sum);
    }
    sync();
    if (thread_ == 0) {
      unsigned* arrivals = block_.scratch.split_arrivals + head;
      const bool is_last = ptx::add_acquire_release(arrivals, 1) + 1 == static_cast<unsigned>(splits);
      if (is_last) *arrivals = 0;
      block_.small.is_last = is_last ? 1 : 0;
    }
    sync();
    if (block_.small.is_last == 0) return;
    merged = Merged{};
    for (int other = 0; other < splits; ++other) {
      const float* part = all + other * kMaxGroup * kPartialFloats;
      merged.add(__ldcg(part + dim), __ldcg(part + kHeadDim), __ldcg(part + kHeadDim + 1));
    }
  }
  if (member >= group) return;
  const int query_head = head * group + member;
  const float sink = __bfloat162float(layer.sinks[query_head]);
  __stcg(block_.scratch.attention + query_head * kHeadDim + dim, merged.finish(sink));
}

__global__ void __launch_bounds__(kDecodeThreads, 1) decode_step(const __grid_constant__ DecodeStepArgs args) {
  extern __shared__ __align__(128) std::byte shared[];
  const Block block(args, shared);
  if (threadIdx.x == 0) block.ring.init();
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
  check(
      cudaMemsetAsync(scratch.cleared, 0, scratch.cleared_bytes, stream), "cudaMemsetAsync"
  );
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
