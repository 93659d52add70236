#pragma once

// The ring of the persistent decode step: one thread streams the block's share of all weights, in
// the order of the model, through stages of shared memory, far ahead of the warps that multiply.

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/decode_step.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/mbarrier.cuh"

namespace gossamer::kernels::cuda {

inline constexpr int kStageBytes = 24480;  // two records of 2880 columns
inline constexpr int kNumStages = 7;
/// Chunks on their way at a time. More would only queue in the memory system, and whatever the
/// blocks tell each other would queue behind them: 7 of them made a layer's five hand-overs take 7
/// to 14 us each.
inline constexpr int kChunksInFlight = 2;
inline constexpr int kNumGroups = 3;  // groups of warps; each multiplies a tile of its own
inline constexpr int kWarpsPerGroup = 4;
inline constexpr int kConsumers = kNumGroups * kWarpsPerGroup * 32;
/// Warps that bring vectors from global memory while the consumers multiply.
inline constexpr int kCarriers = 3 * 32;
/// Behind the consumers the producer's warp, then the carriers. They lend their registers: shared
/// memory leaves so little of L1 that every spilled word is a trip to L2.
inline constexpr int kFirstProducer = kConsumers;
inline constexpr int kFirstCarrier = kConsumers + 32;
inline constexpr int kDecodeThreads = kFirstCarrier + kCarriers;
inline constexpr int kConsumerRegisters = 144;
inline constexpr int kOtherRegisters = 80;
static_assert(kConsumers % 128 == 0 && kDecodeThreads == kConsumers + 128);
static_assert(kConsumers * kConsumerRegisters + 128 * kOtherRegisters <= 65536);

/// Bytes of a k64 step of 8 rows of a bf16 matrix.
inline constexpr int kStepBytes = 2 * kUnitBytes;
inline constexpr int kMaxStepsPerChunk = kStageBytes / kStepBytes;

/// How a dense matrix is cut: into tiles of 8 rows, and those into chunks, one a stage.
struct DenseCut {
  int num_tiles;
  int steps;            // k64 steps of a tile
  int chunks;           // of a tile
  int steps_per_chunk;  // the last one may have fewer

  __device__ DenseCut(int rows, int columns)
      : num_tiles((rows + kPackedRows - 1) / kPackedRows),
        steps((columns + kPackedColumnAlign - 1) / kPackedColumnAlign),
        chunks((steps + kMaxStepsPerChunk - 1) / kMaxStepsPerChunk),
        steps_per_chunk((steps + chunks - 1) / chunks) {}
};

/// The tiles of one matrix that fall to this block.
struct Span {
  int first;    // tile; the others follow at a distance of gridDim.x
  int count;    // tiles
  int chunk;    // of the first tile, counted from the start of the step
  int ordinal;  // of the first tile, likewise
};

/// Deals the tiles of one matrix after the other to the blocks. Producer and consumers walk alike.
class Walk {
 public:
  /// Tiles in turn, starting where the last deal ended, so that the load evens out over the step.
  __device__ Span next(int num_tiles, int chunks_per_tile) {
    const int grid = static_cast<int>(gridDim.x);
    int first = static_cast<int>(blockIdx.x) - turn_;
    if (first < 0) first += grid;
    turn_ = (turn_ + num_tiles) % grid;
    return span_from(first, num_tiles, chunks_per_tile);
  }

  /// Tiles of the residual stream's rows: always to the same block, which keeps them.
  __device__ Span next_rows(int num_tiles, int chunks_per_tile) {
    return span_from(static_cast<int>(blockIdx.x), num_tiles, chunks_per_tile);
  }

 private:
  __device__ Span span_from(int first, int num_tiles, int chunks_per_tile) {
    const int grid = static_cast<int>(gridDim.x);
    const int count = first < num_tiles ? (num_tiles - first + grid - 1) / grid : 0;
    const Span span{first, count, chunk_, ordinal_};
    chunk_ += count * chunks_per_tile;
    ordinal_ += count;
    return span;
  }

  int turn_ = 0;
  int chunk_ = 0;
  int ordinal_ = 0;
};

/// A ring's barriers, in shared memory.
struct RingState {
  std::uint64_t full[kNumStages];
  std::uint64_t empty[kNumStages];
  int num_begun;  // chunks; polled, so accessed by atomics only
};

/// The stages and their barriers. A chunk's number tells its stage and the parity of its phase.
class Ring {
 public:
  __device__ Ring(std::byte* stages, RingState& state)
      : stages_(stages),
        num_begun_(&state.num_begun),
        full_(ptx::shared_address(state.full)),
        empty_(ptx::shared_address(state.empty)) {}

  /// One thread, before the others use the ring.
  __device__ void init() const {
    for (int stage = 0; stage < kNumStages; ++stage) {
      ptx::mbarrier_init(full_ + 8 * stage, 1);
      ptx::mbarrier_init(empty_ + 8 * stage, kWarpsPerGroup * 32);
    }
    *num_begun_ = 0;
    ptx::fence_mbarrier_init();
  }

  /// Producer: waits for the chunk's stage and its turn, and starts its copy.
  __device__ void send(int chunk, const std::byte* from, std::uint32_t bytes, std::uint64_t policy)
      const {
    begin(chunk, bytes);
    copy(chunk, 0, from, bytes, policy);
  }

  /// Producer: a chunk of two pieces of the same size.
  __device__ void send_pair(
      int chunk,
      const std::byte* first,
      const std::byte* second,
      std::uint32_t bytes,
      std::uint64_t policy
  ) const {
    begin(chunk, 2 * bytes);
    copy(chunk, 0, first, bytes, policy);
    copy(chunk, bytes, second, bytes, policy);
  }

  /// Consumer: the chunk's bytes, once they are there.
  __device__ const std::byte* wait(int chunk, int lane) const {
    // A group's next chunk may be more than a round ahead, where parities say nothing yet. One lane
    // polls: warps that wait must not take turns from those that multiply.
    if (lane == 0) {
      while (atomicOr(num_begun_, 0) <= chunk) __nanosleep(20);
    }
    __syncwarp();
    ptx::mbarrier_wait(full_ + 8 * (chunk % kNumStages), (chunk / kNumStages) & 1);
    return stages_ + (chunk % kNumStages) * kStageBytes;
  }
  /// Consumer: this thread is done with the chunk.
  __device__ void release(int chunk) const {
    ptx::mbarrier_arrive(empty_ + 8 * (chunk % kNumStages));
  }

 private:
  /// Waits for the chunk's stage and its turn, and tells how much will come.
  __device__ void begin(int chunk, std::uint32_t bytes) const {
    if (chunk >= kChunksInFlight) {
      const int earlier = chunk - kChunksInFlight;
      ptx::mbarrier_wait(full_ + 8 * (earlier % kNumStages), (earlier / kNumStages) & 1);
    }
    if (chunk >= kNumStages) {
      ptx::mbarrier_wait(empty_ + 8 * (chunk % kNumStages), (chunk / kNumStages - 1) & 1);
    }
    ptx::mbarrier_arrive_expect(full_ + 8 * (chunk % kNumStages), bytes);
    atomicExch(num_begun_, chunk + 1);
  }

  __device__ void copy(
      int chunk,
      std::uint32_t offset,
      const std::byte* from,
      std::uint32_t bytes,
      std::uint64_t policy
  ) const {
    const int stage = chunk % kNumStages;
    const std::uint32_t to = ptx::shared_address(stages_ + stage * kStageBytes) + offset;
    ptx::bulk_copy(to, from, bytes, full_ + 8 * stage, policy);
  }

  std::byte* stages_;
  int* num_begun_;
  std::uint32_t full_;
  std::uint32_t empty_;
};

/// The experts of a layer for the step's token.
struct Route {
  int expert[kDecodeExperts];
  float weight[kDecodeExperts];
};

/// Streams this block's tiles of a dense matrix. One thread.
__device__ inline void stream_dense(
    const Ring& ring,
    const Span& span,
    const DenseCut& cut,
    const std::byte* matrix,
    std::uint64_t policy
) {
  int chunk = span.chunk;
  for (int i = 0; i < span.count; ++i) {
    const std::int64_t tile = span.first + static_cast<std::int64_t>(i) * gridDim.x;
    const std::byte* from = matrix + tile * cut.steps * kStepBytes;
    for (int begin = 0; begin < cut.steps; begin += cut.steps_per_chunk) {
      const int steps = min(cut.steps_per_chunk, cut.steps - begin);
      ring.send(chunk++, from + begin * kStepBytes, steps * kStepBytes, policy);
    }
  }
}

/// Tiles of an expert's gate and up rows: 16 rows, two records, a chunk.
__host__ __device__ constexpr int gate_up_tiles(const DecodeShape& shape) {
  return 2 * shape.intermediate / kPackedRowAlign;
}
/// Tiles of an expert's down rows: 8 rows, one record; those of two experts are a chunk.
__host__ __device__ constexpr int down_tiles(const DecodeShape& shape) {
  return (shape.hidden + kPackedRows - 1) / kPackedRows;
}

}  // namespace gossamer::kernels::cuda
