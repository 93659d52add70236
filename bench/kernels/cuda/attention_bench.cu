#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <vector>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_split.cuh"
#include "kernels/cuda/ptx/mma.cuh"

// Attention at the sizes of gpt-oss: 64 query heads, 8 kv heads. Prints the time of a layer, the
// bytes of keys and values that its queries see once, and the operations of unmasked scores, next
// to what the device reads and multiplies at best in this run.

namespace gossamer::kernels::cuda {
namespace {

constexpr int kHeads = 64;
constexpr int kKvHeads = 8;
constexpr int kWindow = 128;
constexpr std::size_t kCacheBytes = std::size_t{512} << 20;  // more than any L2 holds

void require(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

/// Device memory; a benchmark frees nothing before its end.
template <class T>
T* allocate(std::size_t count) {
  T* data = nullptr;
  require(cudaMalloc(&data, count * sizeof(T)));
  require(cudaMemset(data, 0, count * sizeof(T)));
  return data;
}

template <class T>
T* upload(const std::vector<T>& values) {
  T* data = allocate<T>(values.size());
  require(cudaMemcpy(data, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
  return data;
}

__global__ void fill_random(__nv_bfloat16* values, std::size_t count) {
  const std::size_t threads = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += threads) {
    auto hash = static_cast<std::uint32_t>(i) * 2654435761U;
    hash ^= hash >> 15;
    hash *= 2246822519U;
    hash ^= hash >> 13;
    values[i] = __float2bfloat16(static_cast<float>(hash % 4096) / 1024 - 2);
  }
}

__global__ void read_all(const uint4* data, std::size_t count, std::uint32_t* result) {
  const std::size_t threads = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  std::size_t i = blockIdx.x * blockDim.x + threadIdx.x;
  std::uint32_t sum = 0;
  for (; i + 7 * threads < count; i += 8 * threads) {
    uint4 values[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) values[k] = __ldcs(data + i + k * threads);
#pragma unroll
    for (int k = 0; k < 8; ++k) sum ^= values[k].x ^ values[k].y ^ values[k].z ^ values[k].w;
  }
  if (sum == 12345) *result = sum;
}

__global__ void multiply(int repeats, float* result) {
  float sums[16][4] = {};
  const std::uint32_t a[4] = {threadIdx.x, 1, 2, 3};
  for (int i = 0; i < repeats; ++i) {
#pragma unroll
    for (int k = 0; k < 16; ++k) ptx::mma_bf16(sums[k], a, 1, 2);
  }
  float sum = 0;
  for (int k = 0; k < 16; ++k) sum += sums[k][0] + sums[k][1] + sums[k][2] + sums[k][3];
  if (sum == 12345) *result = sum;
}

__global__ void do_nothing() {}

/// Microseconds of one call, of many that a graph runs back to back.
double time_us(int calls, const std::function<void(int, cudaStream_t)>& call) {
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  require(cudaEventCreate(&begin));
  require(cudaEventCreate(&end));
  require(cudaDeviceSynchronize());
  require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < calls; ++i) call(i, stream);
  require(cudaStreamEndCapture(stream, &graph));
  require(cudaGraphInstantiate(&exec, graph));
  float best = 1e30F;
  for (int repeat = 0; repeat < 4; ++repeat) {
    require(cudaEventRecord(begin, stream));
    require(cudaGraphLaunch(exec, stream));
    require(cudaEventRecord(end, stream));
    require(cudaStreamSynchronize(stream));
    float ms = 0;
    require(cudaEventElapsedTime(&ms, begin, end));
    if (repeat > 0) best = std::min(best, ms);
  }
  require(cudaGraphExecDestroy(exec));
  require(cudaGraphDestroy(graph));
  return best * 1e3 / calls;
}

struct Device {
  int num_multiprocessors = 0;
  double read_gbs = 0;
  double tflops = 0;
  __nv_bfloat16* keys = nullptr;
  __nv_bfloat16* values = nullptr;
  std::size_t cache_elements = 0;  // of each
  __nv_bfloat16* q = nullptr;
  __nv_bfloat16* sinks = nullptr;
  __nv_bfloat16* out = nullptr;
  void* scratch = nullptr;
};

constexpr std::size_t kMaxTokens = 8192;

Device open_device() {
  Device device;
  cudaDeviceProp properties{};
  require(cudaGetDeviceProperties(&properties, 0));
  device.num_multiprocessors = properties.multiProcessorCount;
  device.cache_elements = (std::size_t{3} << 30) / 2;
  device.keys = allocate<__nv_bfloat16>(device.cache_elements);
  device.values = allocate<__nv_bfloat16>(device.cache_elements);
  device.q = allocate<__nv_bfloat16>(kMaxTokens * kHeads * kAttentionHeadDim);
  device.out = allocate<__nv_bfloat16>(kMaxTokens * kHeads * kAttentionHeadDim);
  device.sinks = allocate<__nv_bfloat16>(kHeads);
  fill_random<<<1024, 256>>>(device.keys, device.cache_elements);
  fill_random<<<1024, 256>>>(device.values, device.cache_elements);
  fill_random<<<1024, 256>>>(device.q, kMaxTokens * kHeads * kAttentionHeadDim);
  device.scratch = allocate<std::byte>(attention_scratch_bytes({
      .max_sequences = 256,
      .max_context_len = 1 << 17,
      .num_heads = kHeads,
      .num_kv_heads = kKvHeads,
      .num_multiprocessors = device.num_multiprocessors,
  }));
  auto* result = allocate<std::uint32_t>(1);
  const std::size_t read_bytes = std::size_t{2} << 30;
  const double read_us = time_us(3, [&](int, cudaStream_t stream) {
    read_all<<<device.num_multiprocessors * 4, 512, 0, stream>>>(
        reinterpret_cast<const uint4*>(device.keys), read_bytes / 16, result
    );
  });
  device.read_gbs = static_cast<double>(read_bytes) / read_us / 1e3;
  constexpr int kRepeats = 2000;
  const double multiply_us = time_us(3, [&](int, cudaStream_t stream) {
    multiply<<<device.num_multiprocessors * 2, 256, 0, stream>>>(
        kRepeats, reinterpret_cast<float*>(result)
    );
  });
  const double operations = 2.0 * 16 * 8 * 16 * 16 * kRepeats * 8 * 2 * device.num_multiprocessors;
  device.tflops = operations / multiply_us / 1e6;
  const double nothing_us =
      time_us(100, [&](int, cudaStream_t stream) { do_nothing<<<256, 128, 0, stream>>>(); });
  std::printf(
      "%s, %d multiprocessors: reads %.0f GB/s, mma %.0f TFLOP/s, an empty kernel %.2f us\n",
      properties.name,
      device.num_multiprocessors,
      device.read_gbs,
      device.tflops,
      nothing_us
  );
  return device;
}

/// Sum over query rows of the keys that each sees.
double visible_scores(int query_len, int context, int window) {
  double sum = 0;
  for (int position = context - query_len; position < context; ++position) {
    sum += window > 0 ? std::min(window, position + 1) : position + 1;
  }
  return sum;
}

void measure(const Device& device, int num_sequences, int query_len, int context, int window) {
  const int blocks = (context + kBlockSize - 1) / kBlockSize;
  std::vector<std::int32_t> cu_seqlens_q, context_lens, block_table, starts;
  for (int s = 0; s <= num_sequences; ++s) {
    cu_seqlens_q.push_back(s * query_len);
    starts.push_back(s * blocks);
    if (s == num_sequences) break;
    context_lens.push_back(context);
    // A stride that is prime to the number of blocks scatters them.
    for (int b = 0; b < blocks; ++b) {
      block_table.push_back(static_cast<int>(
          (static_cast<std::int64_t>(s) * blocks + b) * 10007 %
          (std::int64_t{num_sequences} * blocks)
      ));
    }
  }
  AttentionKernelArgs args{
      .q = device.q,
      .sinks = device.sinks,
      .keys = device.keys,
      .values = device.values,
      .cu_seqlens_q = upload(cu_seqlens_q),
      .context_lens = upload(context_lens),
      .block_table = upload(block_table),
      .block_table_starts = upload(starts),
      .num_sequences = num_sequences,
      .num_tokens = num_sequences * query_len,
      .max_query_len = query_len,
      .max_context_len = context,
      .num_heads = kHeads,
      .num_kv_heads = kKvHeads,
      .sliding_window = window,
      .num_multiprocessors = device.num_multiprocessors,
      .out = device.out,
      .scratch = device.scratch,
  };
  // Layers have caches of their own, so that none finds its keys in L2.
  const std::size_t layer = static_cast<std::size_t>(num_sequences) *
                            static_cast<std::size_t>(blocks) * kKvHeads * kCellElements;
  const int layers = static_cast<int>(
      std::clamp<std::size_t>(std::min(device.cache_elements, kCacheBytes / 2) / layer, 1, 64)
  );
  const double us =
      time_us(query_len == 1 ? std::max(20, layers) : 3, [&](int i, cudaStream_t stream) {
        const std::size_t offset = static_cast<std::size_t>(i % layers) * layer;
        args.keys = device.keys + offset;
        args.values = device.values + offset;
        launch_attention(args, stream);
      });
  const int seen = window > 0 ? std::min(context, window + query_len - 1) : context;
  const double gbs = 2.0 * 2 * kAttentionHeadDim * kKvHeads * num_sequences * seen / us / 1e3;
  const double tflops = 4.0 * kAttentionHeadDim * kHeads * num_sequences *
                        visible_scores(query_len, context, window) / us / 1e6;
  std::printf(
      "%3d x %4d at %6d %-6s %9.2f us %6.0f GB/s (%4.1f %%) %6.1f TFLOP/s (%4.1f %%)\n",
      num_sequences,
      query_len,
      context,
      window > 0 ? "window" : "full",
      us,
      gbs,
      100 * gbs / device.read_gbs,
      tflops,
      100 * tflops / device.tflops
  );
}

void run() {
  const Device device = open_device();
  for (const int window : {0, kWindow}) {
    for (const int sequences : {1, 8, 64}) {
      for (const int context : {128, 1024, 8192, 131072}) {
        if (static_cast<std::size_t>(sequences) * context <= device.cache_elements / 512) {
          measure(device, sequences, 1, context, window);
        }
      }
    }
    for (const int context : {2048, 8192}) measure(device, 1, 2048, context, window);
    measure(device, 1, 8192, 8192, window);
    measure(device, 4, 2048, 2048, window);
    for (const int context : {8192, 131072}) {
      for (const int chunk : {16, 128, 512}) measure(device, 1, chunk, context, window);
    }
  }
}

}  // namespace
}  // namespace gossamer::kernels::cuda

int main() {
  try {
    gossamer::kernels::cuda::run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "attention_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
