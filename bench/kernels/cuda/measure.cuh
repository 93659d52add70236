#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/ptx/mma.cuh"

namespace gossamer::kernels::cuda {

/// Device memory of a benchmark, which frees nothing before its end.
template <class T>
T* bench_allocate(std::size_t size) {
  void* data = nullptr;
  check(cudaMalloc(&data, size * sizeof(T)), "cudaMalloc");
  check(cudaMemset(data, 0, size * sizeof(T)), "cudaMemset");
  return static_cast<T*>(data);
}

__device__ inline std::uint32_t bench_hash(std::size_t index) {
  auto hash = static_cast<std::uint32_t>(index) * 2654435761U;
  hash ^= hash >> 15U;
  hash *= 2246822519U;
  hash ^= hash >> 13U;
  return hash;
}

static __global__ void bench_fill_kernel(__nv_bfloat16* values, std::size_t size) {
  const std::size_t threads = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < size; i += threads) {
    values[i] = __float2bfloat16(static_cast<float>(bench_hash(i) % 4096) / 2048 - 1);
  }
}

/// Values in [-1, 1).
inline void bench_fill(__nv_bfloat16* values, std::size_t size) {
  bench_fill_kernel<<<1024, 256>>>(values, size);
  check(cudaGetLastError(), "bench_fill_kernel");
}

/// Microseconds of one call, of many that a graph runs one after the other; the best of four
/// repeats after the first.
inline double time_us(int calls, const std::function<void(int, cudaStream_t)>& call) {
  const Stream stream = make_stream();
  const Event begin = make_event();
  const Event end = make_event();
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  const GraphExec graph = record(stream.get(), [&] {
    for (int i = 0; i < calls; ++i) call(i, stream.get());
  });
  float best_ms = 1e30F;
  for (int repeat = 0; repeat < 5; ++repeat) {
    check(cudaEventRecord(begin.get(), stream.get()), "cudaEventRecord");
    check(cudaGraphLaunch(graph.get(), stream.get()), "cudaGraphLaunch");
    check(cudaEventRecord(end.get(), stream.get()), "cudaEventRecord");
    check(cudaStreamSynchronize(stream.get()), "cudaStreamSynchronize");
    if (repeat > 0) best_ms = std::min(best_ms, elapsed_ms(begin, end));
  }
  return static_cast<double>(best_ms) * 1e3 / calls;
}

static __global__ void bench_read(const uint4* data, std::size_t size, std::uint32_t* result) {
  constexpr int kAhead = 8;
  const std::size_t threads = std::size_t{gridDim.x} * blockDim.x;
  std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
  std::uint32_t sum = 0;
  for (; i + (kAhead - 1) * threads < size; i += kAhead * threads) {
    uint4 values[kAhead];
#pragma unroll
    for (int k = 0; k < kAhead; ++k) values[k] = __ldcs(data + i + k * threads);
#pragma unroll
    for (int k = 0; k < kAhead; ++k) sum ^= values[k].x ^ values[k].y ^ values[k].z ^ values[k].w;
  }
  if (sum == 0x12345) *result = sum;
}

/// Bytes a second, in GB, of reading `size_bytes` once.
inline double read_ceiling_gbs(const std::byte* data, std::size_t size_bytes) {
  auto* const result = bench_allocate<std::uint32_t>(1);
  const double us = time_us(2, [&](int, cudaStream_t stream) {
    bench_read<<<1056, 512, 0, stream>>>(
        reinterpret_cast<const uint4*>(data), size_bytes / 16, result
    );
  });
  return static_cast<double>(size_bytes) / us / 1e3;
}

static __global__ void bench_multiply(int repeats, float* result) {
  float sums[16][4] = {};
  for (int i = 0; i < repeats; ++i) {
#pragma unroll
    for (auto& sum : sums) ptx::mma_bf16(sum, threadIdx.x, 1, 2, 3, 4, 5);
  }
  float total = 0;
  for (const auto& sum : sums) total += sum[0] + sum[1] + sum[2] + sum[3];
  if (total == 12345) *result = total;
}

/// TFLOP/s of mma.m16n8k16 from registers.
inline double multiply_ceiling_tflops(int num_multiprocessors) {
  constexpr int kRepeats = 4000;
  auto* const result = bench_allocate<float>(1);
  const double us = time_us(2, [&](int, cudaStream_t stream) {
    bench_multiply<<<2 * num_multiprocessors, 256, 0, stream>>>(kRepeats, result);
  });
  return 2.0 * num_multiprocessors * 8 * kRepeats * 16 * (2.0 * 16 * 8 * 16) / us / 1e6;
}

}  // namespace gossamer::kernels::cuda
