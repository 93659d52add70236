#pragma once

// Products of few tokens: the tokens stay in shared memory and the weights stream by. A block's
// warps form groups. A group takes some rows at a time; its warps share the columns of these rows
// in steps, and add up what they have at the end.

#include <cstdint>

#include "kernels/cuda/ptx/named_barrier.cuh"

namespace gossamer::kernels::cuda {

inline constexpr int kStreamGroups = 2;
inline constexpr int kStreamWarps = 8;  // of a group
inline constexpr int kStreamGroupThreads = kStreamWarps * 32;
inline constexpr int kStreamBlockThreads = kStreamGroups * kStreamGroupThreads;

/// Which warp this is.
struct StreamPlace {
  int lane = static_cast<int>(threadIdx.x) % 32;
  int warp = static_cast<int>(threadIdx.x) / 32 % kStreamWarps;  // of its group
  int group = static_cast<int>(threadIdx.x) / kStreamGroupThreads;
  int thread = static_cast<int>(threadIdx.x) % kStreamGroupThreads;  // of its group
};

/// Where a warp is in its group's work. The warps of a group take the steps of its first rows in
/// turn and then go on with the next rows, so that in the long run all do equally many.
struct StreamCursor {
  int item;  // which rows
  int step;

  /// Goes on from behind an item's last step. Returns whether it did.
  __device__ __forceinline__ bool wrap(int num_steps) {
    if (step < num_steps) return false;
    while (step >= num_steps) {
      step -= num_steps;
      item += kStreamGroups;
    }
    return true;
  }
};

/// The warps' sums of [8 kTokenTiles tokens][kRows rows], added up in a fixed order. Two of them
/// in turn make one barrier enough.
template <int kRows, int kTokenTiles>
class StreamSums {
 public:
  static constexpr int kOutputs = kRows * 8 * kTokenTiles;
  static constexpr int kBytes = 2 * kStreamWarps * 8 * kTokenTiles * (kRows + 4) * 4;  // of a group

  __device__ StreamSums(float* memory, const StreamPlace& place)
      : memory_(memory), barrier_(1 + place.group) {}

  /// Where a warp leaves its sum of a token and row.
  __device__ float& at(int warp, int token, int row) const {
    return memory_[((parity_ * kStreamWarps + warp) * 8 * kTokenTiles + token) * kStride + row];
  }

  /// Waits for all warps of the group.
  __device__ __forceinline__ void pass() const {
    ptx::named_barrier(barrier_, kStreamGroupThreads);
  }

  /// Waits for all warps of the group, then calls store(token, row, sum), each thread for at most
  /// kOutputs / kStreamGroupThreads outputs; rows of a token are in consecutive lanes.
  template <class Store>
  __device__ __forceinline__ void finish(const StreamPlace& place, const Store& store) {
    pass();
#pragma unroll
    for (int i = 0; i < kOutputs; i += kStreamGroupThreads) {
      const int output = i + place.thread;
      if (output >= kOutputs) break;
      float sum = 0;
#pragma unroll
      for (int w = 0; w < kStreamWarps; ++w) sum += at(w, output / kRows, output % kRows);
      store(output / kRows, output % kRows, sum);
    }
    parity_ ^= 1;
  }

 private:
  static constexpr int kStride = kRows + 4;  // the 4 move tokens to different banks
  static_assert(kOutputs % 32 == 0, "whole warps store");

  float* memory_;
  int barrier_;
  int parity_ = 0;
};

}  // namespace gossamer::kernels::cuda
