// Products over experts for tiles of at most 8 pairs, on devices with bulk copies (sm_90 and
// newer).
//
// The work is a list of (tile, 16 rows), by tile, of which a block has a stretch. One thread
// streams the stretch's weights, 16 rows a stage, through a ring in shared memory; groups of warps
// take the stages in turn, and a group's warps share the columns. The tile's tokens stay in shared
// memory. Codes are multiplied as bf16 numbers 2^126 too small, tokens are 2^100 too large, and a
// block's scale is applied to its sums: exact, and far fewer instructions than to scale weights.
// Bound by reading the weights, once a tile.

#include "kernels/cuda/expert_items.cuh"
#include "kernels/cuda/expert_kernels.cuh"
#include "kernels/cuda/expert_output.cuh"
#include "kernels/cuda/expert_plan.h"
#include "kernels/cuda/fp4_fragments.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/ldmatrix.cuh"
#include "kernels/cuda/ptx/mbarrier.cuh"
#include "kernels/cuda/ptx/mma.cuh"
#include "kernels/cuda/ptx/named_barrier.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kTokenBarrier = 1;  // of all consumers

// The warps of a block: groups of consumers, then the producer.
constexpr int kGroups = kExpertRingGroups;
constexpr int kGroupWarps = kExpertRingGroupWarps;
constexpr int kStages = kExpertRingStages;
constexpr int kGroupThreads = kGroupWarps * 32;
constexpr int kConsumers = kGroups * kGroupThreads;
constexpr int kThreads = kConsumers + 32;
static_assert(kStages == 2 * kGroups, "a stage and a buffer of sums are always of the same group");

/// In shared memory.
struct Barriers {
  std::uint64_t full[kStages];
  std::uint64_t empty[kStages];
  std::uint64_t summed[kStages];  // a group's warps have left their sums in one of its two buffers
};

/// Where one who walks the ring is.
struct RingPlace {
  int stage = 0;
  std::uint32_t parity = 0;  // of the round

  __device__ void advance(int chunks) {
    stage += chunks;
    if (stage < kStages) return;
    stage -= kStages;
    parity ^= 1;
  }
};

/// Copies the block's items to the ring, one after the other. One thread.
__device__ void produce(
    const ExpertGemmArgs& args,
    const ExpertExtents& extents,
    const ExpertStretch& stretch,
    std::uint32_t stages,
    const Barriers& barriers
) {
  const std::uint64_t policy = ptx::evict_first_policy();
  const auto bytes = static_cast<std::uint32_t>(extents.item_bytes());
  RingPlace place;
  int tile = -1;
  const std::byte* weight = nullptr;
  for (int item = stretch.begin; item < stretch.end; ++item) {
    if (item / extents.row_items != tile) {
      tile = item / extents.row_items;
      weight = args.weight + args.groups.tiles[tile].expert * extents.expert_bytes;
    }
    // The first round finds all stages empty.
    ptx::mbarrier_wait(ptx::shared_address(barriers.empty + place.stage), place.parity ^ 1);
    const std::uint32_t full = ptx::shared_address(barriers.full + place.stage);
    ptx::mbarrier_arrive_expect(full, bytes);
    const std::int64_t row_item = item - tile * extents.row_items;
    ptx::bulk_copy(
        stages + place.stage * bytes, weight + row_item * extents.item_bytes(), bytes, full, policy
    );
    place.advance(1);
  }
}

/// The tokens of a tile in shared memory, kFp4VectorScale times as large.
struct TokenTile {
  std::byte* rows;
  int row_bytes;
  std::int32_t* pairs;  // in shared memory
  int count = 0;

  /// Brings the tokens of a tile. All consumers call it, when none needs the last ones any more.
  __device__ void load(const ExpertGemmArgs& args, const ExpertTile& tile) {
    count = tile.count;
    const int row_chunks = (row_bytes - 16) / 16;
    const int valid_chunks = args.columns / 8;
    for (int i = static_cast<int>(threadIdx.x); i < count * row_chunks; i += kConsumers) {
      const int token = i / row_chunks;
      const int chunk = i - token * row_chunks;
      const std::int32_t pair = args.groups.pairs[tile.begin + token];
      const auto* from = reinterpret_cast<const uint4*>(
          args.x + std::int64_t{pair / args.pairs_per_row} * args.columns
      );
      uint4 words = chunk < valid_chunks ? from[chunk] : uint4{};
      words.x = multiply_pair(words.x, kFp4VectorScalePair);
      words.y = multiply_pair(words.y, kFp4VectorScalePair);
      words.z = multiply_pair(words.z, kFp4VectorScalePair);
      words.w = multiply_pair(words.w, kFp4VectorScalePair);
      *reinterpret_cast<uint4*>(rows + token * row_bytes + chunk * 16) = words;
      if (chunk == 0) pairs[token] = pair;
    }
    ptx::named_barrier(kTokenBarrier, kConsumers);
  }
};

/// One step's weights of a lane: codes and scales of the upper and lower 8 rows.
struct Step {
  uint2 upper;
  uint2 lower;
  std::uint32_t upper_scales;  // two e8m0
  std::uint32_t lower_scales;
};

/// Two scales as floats, twice as large, so that the smallest, 2^-127, is not subnormal.
__device__ __forceinline__ float2 doubled_scales(std::uint32_t bytes) {
  constexpr std::uint32_t kOne = 1U << 23;  // of the exponent
  return {
      __uint_as_float((bytes & 0xFF) * kOne + kOne), __uint_as_float((bytes >> 8) * kOne + kOne)};
}

using Sums = float[4];

__device__ __forceinline__ void add_scaled(
    float (&sums)[4], const float (&block)[4], float upper, float lower
) {
  sums[0] = fmaf(block[0], upper, sums[0]);
  sums[1] = fmaf(block[1], upper, sums[1]);
  sums[2] = fmaf(block[2], lower, sums[2]);
  sums[3] = fmaf(block[3], lower, sums[3]);
}

/// Adds the products of a step. `tokens` is the address of this lane's row for ldmatrix, at the
/// step's columns.
__device__ __forceinline__ void multiply_step(const Step& step, std::uint32_t tokens, Sums& sums) {
  std::uint32_t upper[2][4];
  std::uint32_t lower[2][4];
  unpack_fp4(step.upper.x, upper[0]);
  unpack_fp4(step.lower.x, lower[0]);
  unpack_fp4(step.upper.y, upper[1]);
  unpack_fp4(step.lower.y, lower[1]);
  const float2 upper_scales = doubled_scales(step.upper_scales);
  const float2 lower_scales = doubled_scales(step.lower_scales);
  std::uint32_t b[4];
  std::uint32_t d[4];
  ptx::load_matrices(b, tokens);
  ptx::load_matrices(d, tokens + 64);
  float first[4] = {};
  float second[4] = {};
  ptx::mma_bf16(first, upper[0][0], lower[0][0], upper[0][1], lower[0][1], b[0], b[1]);
  ptx::mma_bf16(second, upper[1][0], lower[1][0], upper[1][1], lower[1][1], d[0], d[1]);
  ptx::mma_bf16(first, upper[0][2], lower[0][2], upper[0][3], lower[0][3], b[2], b[3]);
  ptx::mma_bf16(second, upper[1][2], lower[1][2], upper[1][3], lower[1][3], d[2], d[3]);
  add_scaled(sums, first, upper_scales.x, lower_scales.x);
  add_scaled(sums, second, upper_scales.y, lower_scales.y);
}

/// A warp of the consumers.
template <ExpertGemmOutput kOutput>
class Consumer {
 public:
  __device__ Consumer(
      const ExpertGemmArgs& args,
      const ExpertExtents& extents,
      float4* sums,
      const std::uint64_t* summed
  )
      : args_(args), extents_(extents), sums_(sums), summed_(summed) {}

  __device__ int group() const { return warp_ / kGroupWarps; }

  /// Multiplies an item and stores its results. `release` is called when the stage is not needed
  /// any more.
  template <class Release>
  __device__ void take(
      const std::byte* item,
      const TokenTile& tokens,
      int expert,
      int first_row,
      const Release& release
  ) {
    // Units do not divide evenly: who has one more, and who adds up, changes from item to item.
    const int first_unit = (warp_ + turn_) % kGroupWarps;
    const bool finishes = first_unit == kGroupWarps - 1;
    const int buffer = group() * 2 + turn_ % 2;
    const int phase = turn_ / 2 % 2;
    ++turn_;
    float4* const others = sums_ + buffer * (kGroupWarps - 1) * 32;
    const std::uint32_t summed = ptx::shared_address(summed_ + buffer);
    const int row = first_row + lane_ / 4;
    const __nv_bfloat16* biases = args_.bias + std::int64_t{expert} * args_.rows + row;
    __nv_bfloat16 bias[2] = {};
    if (finishes) {
      bias[0] = biases[0];
      bias[1] = biases[8];
    }
    Sums sums = {};
    multiply(item, tokens, first_unit, sums);
    if (!finishes) {
      release();
      leave(sums, others + first_unit * 32);
      ptx::mbarrier_arrive(summed);
      return;
    }
    ptx::mbarrier_wait(summed, phase);
#pragma unroll
    for (int w = 0; w < kGroupWarps - 1; ++w) add(others + w * 32, sums);
    // Only now: the buffer's next item is the stage's next one, for which all of the group wait.
    release();
    store(tokens, row, bias, sums);
  }

 private:
  /// Leaves a warp's sums for another's lanes that have the same rows and tokens, and adds them.
  __device__ void leave(const Sums& sums, float4* to) const {
    to[lane_] = make_float4(sums[0], sums[1], sums[2], sums[3]);
  }
  __device__ void add(const float4* from, Sums& sums) const {
    const float4 other = from[lane_];
    sums[0] += other.x;
    sums[1] += other.y;
    sums[2] += other.z;
    sums[3] += other.w;
  }

  __device__ void multiply(const std::byte* item, const TokenTile& tokens, int unit, Sums& sums)
      const {
    const std::byte* codes = item + unit * kFp4UnitBytes + lane_ * 8;
    const std::byte* scales =
        item + extents_.units * kFp4UnitBytes + unit * kFp4ScaleBytes + lane_ / 4 * 2;
    std::uint32_t lane_tokens = ptx::shared_address(tokens.rows) + lane_ % 8 * tokens.row_bytes +
                                lane_ / 8 * 16 + unit * kFp4UnitColumns * 2;
    const auto load = [&] {
      return Step{
          *reinterpret_cast<const uint2*>(codes),
          *reinterpret_cast<const uint2*>(codes + extents_.record_bytes),
          *reinterpret_cast<const std::uint16_t*>(scales),
          *reinterpret_cast<const std::uint16_t*>(scales + extents_.record_bytes),
      };
    };
    if (unit >= extents_.units) return;
    Step step = load();
#pragma unroll 2
    for (unit += kGroupWarps; unit < extents_.units; unit += kGroupWarps) {
      codes += kGroupWarps * kFp4UnitBytes;
      scales += kGroupWarps * kFp4ScaleBytes;
      const Step next = load();
      multiply_step(step, lane_tokens, sums);
      lane_tokens += kGroupWarps * kFp4UnitColumns * 2;
      step = next;
    }
    multiply_step(step, lane_tokens, sums);
  }

  __device__ void store(
      const TokenTile& tokens, int row, const __nv_bfloat16 (&bias)[2], const Sums& sums
  ) const {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const int token = lane_ % 4 * 2 + c % 2;
      const bool valid = token < tokens.count;
      const std::int64_t pair = valid ? tokens.pairs[token] : 0;
      const float value = fmaf(sums[c], kFp4SumScale / 2, __bfloat162float(bias[c / 2]));
      store_row(pair, row + c / 2 * 8, value, valid);
    }
  }

  /// Whole warps call it, `valid` or not; the next row is four lanes on.
  __device__ void store_row(std::int64_t pair, int row, float value, bool valid) const {
    if constexpr (kOutput == ExpertGemmOutput::kSwiglu) {
      const float linear = __shfl_down_sync(0xFFFFFFFF, value, 4);
      if (!valid || row % 2 != 0) return;
      static_cast<__nv_bfloat16*>(args_.y)[pair * (args_.rows / 2) + row / 2] =
          __float2bfloat16_rn(clamped_swiglu(value, linear, args_.swiglu_limit));
    } else if (valid) {
      static_cast<float*>(args_.y)[pair * args_.rows + row] = value;
    }
  }

  const ExpertGemmArgs& args_;
  const ExpertExtents& extents_;
  const std::uint64_t* summed_;  // as sums_: [groups][2]
  float4* sums_;                 // [groups][2][warps of a group - 1][lanes]
  int warp_ = static_cast<int>(threadIdx.x) / 32;
  int lane_ = static_cast<int>(threadIdx.x) % 32;
  int turn_ = 0;  // items that the group has taken
};

/// A stage is always of the same group, whose warps so never miss a round of it.
template <ExpertGemmOutput kOutput>
__device__ void consume(
    const ExpertGemmArgs& args,
    const ExpertExtents& extents,
    const ExpertStretch& stretch,
    const std::byte* stages,
    const Barriers& barriers,
    float4* sums,
    TokenTile& tokens
) {
  Consumer<kOutput> consumer(args, extents, sums, barriers.summed);
  RingPlace place{consumer.group()};
  int item = stretch.begin + consumer.group();
  int tile = stretch.begin / extents.row_items;
  for (; tile * extents.row_items < stretch.end; ++tile) {
    const ExpertTile pairs = args.groups.tiles[tile];
    const int tile_end = min(stretch.end, (tile + 1) * extents.row_items);
    ptx::named_barrier(kTokenBarrier, kConsumers);
    tokens.load(args, pairs);
    for (; item < tile_end; item += kGroups) {
      ptx::mbarrier_wait(ptx::shared_address(barriers.full + place.stage), place.parity);
      consumer.take(
          stages + place.stage * extents.item_bytes(),
          tokens,
          pairs.expert,
          (item - tile * extents.row_items) * kExpertItemRows,
          [&] { ptx::mbarrier_arrive(ptx::shared_address(barriers.empty + place.stage)); }
      );
      place.advance(kGroups);
    }
  }
}

template <ExpertGemmOutput kOutput>
__global__ void __launch_bounds__(kThreads, 1) expert_gemm_ring_kernel(ExpertGemmArgs args) {
  extern __shared__ __align__(128) std::byte shared[];  // stages, sums of the groups, tokens
  __shared__ Barriers barriers;
  __shared__ std::int32_t pairs[kExpertStreamPairs];
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      ptx::mbarrier_init(ptx::shared_address(barriers.full + stage), 1);
      ptx::mbarrier_init(ptx::shared_address(barriers.empty + stage), kGroupThreads);
      ptx::mbarrier_init(ptx::shared_address(barriers.summed + stage), kGroupThreads - 32);
    }
    ptx::fence_mbarrier_init();
  }
  __syncthreads();
  const ExpertExtents extents(args);
  const ExpertStretch stretch(args, extents);
  if (threadIdx.x >= kConsumers) {
    if (threadIdx.x == kConsumers) {
      produce(args, extents, stretch, ptx::shared_address(shared), barriers);
    }
    return;
  }
  auto* const sums = reinterpret_cast<float4*>(shared + kStages * extents.item_bytes());
  TokenTile tokens{
      reinterpret_cast<std::byte*>(sums) + kExpertRingSumBytes,
      static_cast<int>(expert_stream_row_bytes(args.columns)),
      pairs};
  consume<kOutput>(args, extents, stretch, shared, barriers, sums, tokens);
}

}  // namespace

void launch_expert_gemm_ring(
    const ExpertGemmArgs& args, const GemmDevice& device, cudaStream_t stream
) {
  const auto kernel = args.output == ExpertGemmOutput::kSwiglu
                          ? expert_gemm_ring_kernel<ExpertGemmOutput::kSwiglu>
                          : expert_gemm_ring_kernel<ExpertGemmOutput::kF32>;
  const std::int64_t shared_bytes = expert_ring_shared_bytes(args.columns);
  launch_over_items(
      kernel, "expert_gemm_ring_kernel", args, kThreads, shared_bytes, device, stream
  );
}

}  // namespace gossamer::kernels::cuda
