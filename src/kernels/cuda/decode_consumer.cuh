#pragma once

// The warps of the persistent decode step that multiply.

#include "kernels/cuda/decode_block.cuh"
#include "kernels/cuda/decode_vectors.cuh"
#include "kernels/cuda/decode_words.cuh"
#include "kernels/cuda/ptx/grid_sync.cuh"
#include "kernels/cuda/ptx/named_barrier.cuh"

namespace gossamer::kernels::cuda {

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
      arrive(block_.small.barriers.unrouted);
      grid_barrier();
      load_normed_middle(i, weights);
      gate_up(i, layer);
#pragma unroll 1
      for (int slot = 0; slot < kDecodeExperts; slot += 2) {
        down(i, slot, layer);
      }
    }
    unembed();
  }

 private:
  __device__ void sync() const {
    ptx::named_barrier(kConsumerBarrier, kConsumers);
  }

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
  __device__ void count(int layer, int handoff) const {
    ptx::add_relaxed(block_.count_of(layer, handoff), 1);
  }

  /// Waits until all of a vector has been counted; no consumer is still at what came before.
  __device__ void wait_count(int layer, int handoff, int target) const {
    wait_for_count(block_.count_of(layer, handoff), target);
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
      sincospi(
          position_ * block_.args.inverse_frequencies[thread_] * kReciprocalPi, &sine, &cosine
      );
      const double concentration = shape_.rope_concentration;
      block_.small.rope[thread_] = static_cast<float>(cosine * concentration);
      block_.small.rope[32 + thread_] = static_cast<float>(sine * concentration);
    }
    const int tile = thread_ / kPackedRows;
    const int row =
        (static_cast<int>(blockIdx.x) + tile * static_cast<int>(gridDim.x)) * kPackedRows +
        thread_ % kPackedRows;
    if (tile < kMaxOwnTiles && row < shape_.hidden) {
      block_.small.x[tile][thread_ % kPackedRows] = __bfloat162float(token_row()[row]);
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
      wait_pairs(
          block_.small.scratch.x, thread_, kConsumers, shape_.hidden / 2, tag_of(index - 1), x
      );
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
    store_pairs(block_.vectors, shape_.hidden, x);
    sync();
  }

  /// Sums the group's warps' results for the tile's `rows` rows: `value` is a warp's for row `row`,
  /// in lanes where `owns`. The total is in lane `row` of every warp.
  __device__ float reduce(int rows, float value, int row, bool owns) {
    float(&partials)[kWarpsPerGroup][kTileRows] = block_.small.partials[lane_.group][buffer_];
    buffer_ ^= 1;
    if (owns) partials[lane_.warp][row] = value;
    return sum_partials(partials, rows, lane_.group, lane_.lane);
  }

  /// Whether this warp finishes the group's tiles: the last one has fewer steps of them.
  __device__ bool finishes() const {
    return lane_.warp == kWarpsPerGroup - 1;
  }
  /// Whether this lane writes the results of a tile of 8 rows.
  __device__ bool writes() const {
    return finishes() && lane_.lane < kPackedRows;
  }

  /// The group's tiles of a span: visit(tile, chunk), which passes the group's barrier once. All
  /// groups pass it equally often, as the tool that looks for races expects of barriers.
  template <class Visit>
  __device__ void for_tiles(const Span& span, int chunks_per_tile, const Visit& visit) {
    const int turn = span.ordinal % kNumGroups;
    const int first = lane_.group - turn + (lane_.group < turn ? kNumGroups : 0);
    const int rounds = (span.count + kNumGroups - 1) / kNumGroups;
#pragma unroll 1
    for (int i = first; i < rounds * kNumGroups; i += kNumGroups) {
      if (i >= span.count) {
        group_barrier(lane_.group);
        break;
      }
      visit(span.first + i * static_cast<int>(gridDim.x), span.chunk + i * chunks_per_tile);
    }
  }

  /// Multiplies this block's tiles of a dense matrix with the vector in shared memory.
  /// prefetch(row) runs before a tile's products, finish(row, sum, prefetched) after: the products
  /// hide the way of what is only loaded there, not computed with. Both run in every warp of the
  /// group, with row = the tile's first row + lane % 8, and the sum in lanes 0 to 7.
  template <class Prefetch, class Finish>
  __device__ void for_dense(
      const Span& span,
      const DenseCut& cut,
      int part_bytes,
      const Prefetch& prefetch,
      const Finish& finish
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
        layer.sliding_window > 0 ? block_.small.sliding_table : block_.small.full_table;
    const int head = static_cast<int>(blockIdx.x) % shape_.num_kv_heads;
    return (static_cast<std::int64_t>(table[block]) * shape_.num_kv_heads + head) * kBlockSize *
           kHeadDim;
  }

  __device__ void project_qkv(int index, const DecodeLayer& layer) {
    prefetch_cache(layer);
    const DenseCut& cut = block_.small.qkv;
    for_dense(
        walk_.next(cut.num_tiles, cut.chunks),
        cut,
        fragment_part_bytes(shape_.hidden),
        [&](int row) { return layer.qkv_bias[row]; },
        [&](int row, float sum, __nv_bfloat16 bias) {
          const float value = sum + __bfloat162float(bias);
          if (writes()) store_word(block_.small.scratch.qkv + row, value, tag_of(index));
        }
    );
  }

  __device__ void attend(int index, const DecodeLayer& layer);
  __device__ void load_new_token(int head, Word tag) const;
  __device__ void score_new_token(int group, int member) const;
  __device__ void store_key_value(const DecodeLayer& layer) const;
  __device__ void merge_head(
      const DecodeLayer& layer, const Splits& splits, int head, int member, Word tag
  ) const;
  __device__ void add_splits(const Word* partials, int count, Word tag, Merged& merged) const;

  /// This lane's row of x in the block's own memory.
  __device__ float& own_x(int tile) const {
    return block_.small.x[tile / static_cast<int>(gridDim.x)][lane_.lane & (kPackedRows - 1)];
  }

  /// What a row of x after attention needs, and the router's weights for its tile: a warp of the
  /// group has 32 experts, a lane one.
  struct RouterRow {
    float x;
    __nv_bfloat16 bias;
    __nv_bfloat16 norm;
    std::uint32_t weights[4];  // pairs of the tile's 8 columns
  };

  __device__ int router_expert() const {
    return 32 * (kWarpsPerGroup - 1 - lane_.warp) + lane_.lane;
  }

  __device__ RouterRow router_row(const DecodeLayer& layer, int row) const {
    RouterRow router{};
    router.x = own_x(row / kPackedRows);  // before any warp writes it
    router.bias = layer.attn_out_bias[row];
    router.norm = layer.mlp_norm[row];
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

  /// Adds the tile's share to the router's sums. `value` is the new x of lane's row, in lanes 0
  /// to 7.
  __device__ void add_router_sums(
      int index, const RouterRow& router, float value, const FixedPointGrid& grid
  ) const {
    FixedPoint* sums = block_.layer_sums_of(index);
    float scaled[kPackedRows];
    float squares = lane_.lane < kPackedRows ? value * value : 0;
    const float normed = value * __bfloat162float(router.norm);
#pragma unroll
    for (int j = 0; j < kPackedRows; ++j) {
      scaled[j] = __shfl_sync(0xFFFFFFFFU, normed, j);
    }
#pragma unroll
    for (int distance = 4; distance > 0; distance /= 2) {
      squares += __shfl_xor_sync(0xFFFFFFFFU, squares, distance);
    }
    if (finishes() && lane_.lane == 0) {
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
    wait_pairs(
        block_.small.scratch.attention, thread_, kConsumers, columns / 2, tag_of(index), attention
    );
    sync();
    store_pairs(block_.vectors, columns, attention);
    sync();
    const FixedPointGrid grid = grid_of(block_.small.squares[index], shape_);
    const DenseCut& cut = block_.small.out;
    for_dense(
        walk_.next_rows(cut.num_tiles, cut.chunks),
        cut,
        fragment_part_bytes(columns),
        [&](int row) { return router_row(layer, row); },
        [&](int row, float sum, const RouterRow& router) {
          const float value = router.x + __bfloat162float(router.bias) + sum;
          if (writes()) {
            own_x(row / kPackedRows) = value;
            __stcg(block_.x_middle(index) + row, value);
          }
          add_router_sums(index, router, value, grid);
        }
    );
  }

  /// x after attention, normalised, as the vector of the experts' first products. `weights`: the
  /// norm's.
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
    store_pairs(block_.middle_vector(), shape_.hidden, x);
    sync();
  }

  __device__ void gate_up(int index, const DecodeLayer& layer) {
    const std::byte* fragments =
        lane_fragments(block_.middle_vector(), fragment_part_bytes(shape_.hidden), 0, lane_);
    const int tiles = gate_up_tiles(shape_);
    for_tiles(walk_.next(kDecodeExperts * tiles, 1), 1, [&](int tile, int chunk) {
      const int slot = tile / tiles;
      const int row = (tile - slot * tiles) * kPackedRowAlign + (lane_.lane & 15);
      const std::byte* stage = block_.ring.wait(chunk, lane_.lane);
      // Known once the tile is there. Converted after the products, which hide its way.
      const std::int64_t expert = block_.small.route.expert[slot];
      const __nv_bfloat16 bias = layer.gate_up_bias[expert * 2 * shape_.intermediate + row];
      const ExpertSums sums = multiply_record_pair(stage, shape_.hidden, fragments, lane_);
      block_.ring.release(chunk);
      const float total = reduce(
          kTileRows, lane_.t == 0 ? sums.upper : sums.lower, lane_.g + 8 * lane_.t, lane_.t < 2
      );
      if (finishes()) {
        finish_gate_up(index, slot, row, fmaf(total, kFp4SumScale, __bfloat162float(bias)));
      }
    });
    arrive(block_.small.barriers.gate_up);
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
    if (lane_.lane == 0) count(index, kHidden + slot);
  }

  /// Adds what two experts say of this block's rows to them.
  __device__ void down(int index, int first_slot, const DecodeLayer& layer) {
    const int columns = shape_.intermediate;
    const bool last = first_slot + 2 == kDecodeExperts;
    wait_phase(block_.small.barriers.hidden[first_slot + 1], index);
    const std::byte* fragments = lane_fragments(
        block_.hidden_vector(first_slot),
        fragment_part_bytes(columns),
        fragment_bytes(columns),
        lane_
    );
    Span span = walk_.next_rows(down_tiles(shape_), 1);
    span.ordinal = 0;  // a row is added to by the same group for every expert
    for_tiles(span, 1, [&](int tile, int chunk) {
      const std::byte* stage = block_.ring.wait(chunk, lane_.lane);
      const int row = tile * kPackedRows + (lane_.lane & (kPackedRows - 1));
      const int* experts = block_.small.route.expert + first_slot;
      const float* weights = block_.small.route.weight + first_slot;
      __nv_bfloat16 biases[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        biases[i] = layer.down_bias[static_cast<std::int64_t>(experts[i]) * shape_.hidden + row];
      }
      const ExpertSums sums = multiply_record_pair(stage, columns, fragments, lane_);
      block_.ring.release(chunk);
      const float sum = join_halves(sums.upper * weights[0], sums.lower * weights[1], lane_);
      const float total = reduce(kPackedRows, sum, lane_.g, lane_.t == 0);
      if (writes()) {
        const float first = fmaf(weights[0], __bfloat162float(biases[0]), own_x(tile));
        const float x = fmaf(weights[1], __bfloat162float(biases[1]), first);
        const float value = fmaf(total, kFp4SumScale, x);
        own_x(tile) = value;
        if (last) store_word(block_.small.scratch.x + row, value, tag_of(index));
      }
      if (last && finishes() && lane_.lane == 0) count(index, kX);
    });
  }

  __device__ void unembed() {
    const DenseCut& cut = block_.small.head;
    for_dense(
        walk_.next(cut.num_tiles, cut.chunks),
        cut,
        fragment_part_bytes(shape_.hidden),
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

}  // namespace gossamer::kernels::cuda
