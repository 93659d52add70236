#pragma once

// What the threads of a block work out together, for the kernels of sampling. All threads must
// call, and all get the result. Sums are added in a fixed order.

#include <cuda_runtime.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

inline constexpr int kSampleThreads = 128;
inline constexpr int kSampleBlocks = 8;  // of a multiprocessor, at least
inline constexpr int kWarpSize = 32;
inline constexpr int kSampleWarps = kSampleThreads / kWarpSize;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;

__device__ inline int thread_index() {
  return static_cast<int>(threadIdx.x);
}

struct Larger {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b > a ? b : a;
  }
};

struct Smaller {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};

struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

template <class T, class Operation>
__device__ T block_reduce(T value, Operation operation) {
  __shared__ T of_warp[kSampleWarps];
#pragma unroll
  for (int distance = kWarpSize / 2; distance > 0; distance /= 2) {
    value = operation(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  if (thread_index() % kWarpSize == 0) of_warp[thread_index() / kWarpSize] = value;
  __syncthreads();
  T result = of_warp[0];
#pragma unroll
  for (int warp = 1; warp < kSampleWarps; ++warp) result = operation(result, of_warp[warp]);
  __syncthreads();
  return result;
}

template <class T>
struct BlockScan {
  T before;  // the sum over the threads before this one
  T total;
};

template <class T>
__device__ BlockScan<T> block_scan(T value) {
  __shared__ T of_warp[kSampleWarps];
  const int lane = thread_index() % kWarpSize;
  const int warp = thread_index() / kWarpSize;
  T through = value;
#pragma unroll
  for (int distance = 1; distance < kWarpSize; distance *= 2) {
    const T other = __shfl_up_sync(kAllLanes, through, distance);
    if (lane >= distance) through += other;
  }
  if (lane == kWarpSize - 1) of_warp[warp] = through;
  T before = __shfl_up_sync(kAllLanes, through, 1);
  if (lane == 0) before = 0;
  __syncthreads();
  T total = 0;
#pragma unroll
  for (int w = 0; w < kSampleWarps; ++w) {
    if (w < warp) before += of_warp[w];
    total += of_warp[w];
  }
  __syncthreads();
  return {before, total};
}

struct Place {
  int item;         // -1: nothing has a width
  double fraction;  // in [0, 1): how far into the item
};

/// The item that `number` in [0, 1) falls on when items are as wide as their widths; the last that
/// has a width when rounding leaves a crumb. Each thread has the widths of kItems consecutive
/// items.
template <int kItems>
__device__ Place find_place(const double (&widths)[kItems], double number) {
  constexpr double kAlmostOne = 1.0 - 0x1.0p-53;
  constexpr int kNone = kItems * kSampleThreads;
  __shared__ double shared_fraction;
  const int first = thread_index() * kItems;
  double sum = 0;
#pragma unroll
  for (const double width : widths) sum += width;
  const auto [before, total] = block_scan(sum);
  const double target = number * total;
  double reached = before;
  double fraction = kAlmostOne;
  int hit = kNone;
  int last = -1;
#pragma unroll
  for (int k = 0; k < kItems; ++k) {
    if (!(widths[k] > 0)) continue;
    last = first + k;
    if (hit == kNone && reached + widths[k] > target) {
      hit = first + k;
      fraction = fmin(fmax((target - reached) / widths[k], 0.0), kAlmostOne);
    }
    reached += widths[k];
  }
  const int item = block_reduce(hit, Smaller{});
  if (item == kNone) return {block_reduce(last, Larger{}), kAlmostOne};
  if (hit == item) shared_fraction = fraction;
  __syncthreads();
  fraction = shared_fraction;
  __syncthreads();
  return {item, fraction};
}

/// Whether this block is the last of `num_blocks` to call, and so sees what the others have
/// written.
__device__ inline bool is_last_block(std::uint32_t& blocks_done, unsigned num_blocks) {
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) is_last = atomicAdd(&blocks_done, 1U) == num_blocks - 1;
  __syncthreads();
  __threadfence();
  return is_last;
}

}  // namespace gossamer::kernels::cuda
