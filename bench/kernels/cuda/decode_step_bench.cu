// Decode at batch 1 by the persistent step on random weights of the released shapes: tokens/s,
// GB/s, and the share of what a kernel that only reads reaches in the same run.
//
//   decode_step_bench [CONTEXT]

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "kernels/cuda/decode_step.cuh"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/packed_weights.h"
#include "kernels/step.h"

namespace gossamer::kernels::cuda {
namespace {

__device__ unsigned hash(unsigned x) {
  x ^= x >> 16;
  x *= 0x7FEB352DU;
  x ^= x >> 15;
  x *= 0x846CA68BU;
  return x ^ x >> 16;
}

/// bf16 numbers of either sign around 2^-6.
__global__ void fill_bf16(unsigned* words, std::size_t count, unsigned seed) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
    words[i] = (hash(static_cast<unsigned>(i) + seed) & 0x807F807FU) | 0x3C803C80U;
  }
}

/// Records of random codes and scales of 2^-9 to 2^-6.
__global__ void fill_fp4(
    unsigned* words, std::size_t count, unsigned record_words, unsigned code_words
) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
    const unsigned random = hash(static_cast<unsigned>(i));
    words[i] = i % record_words < code_words ? random : 0x76767676U + (random & 0x03030303U);
  }
}

__global__ void read_all(const uint4* data, std::size_t count, unsigned* out) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  unsigned sum = 0;
  std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (; i + 3 * stride < count; i += 4 * stride) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const uint4 v = __ldcs(data + i + k * stride);
      sum ^= v.x ^ v.y ^ v.z ^ v.w;
    }
  }
  if (sum == 0x12345678U) *out = sum;
}

class Weights {
 public:
  std::byte* zeros(std::size_t bytes) {
    auto buffer = DeviceBuffer::allocate(bytes);
    if (!buffer.ok()) {
      std::printf("%s\n", buffer.error().message.c_str());
      std::exit(1);
    }
    buffers_.push_back(std::move(buffer).value());
    return buffers_.back()->data();
  }
  std::byte* bf16(std::size_t bytes) {
    std::byte* data = zeros(bytes);
    fill_bf16<<<1024, 256>>>(reinterpret_cast<unsigned*>(data), bytes / 4, seed_ += 977);
    return data;
  }
  std::byte* fp4(std::int64_t experts, std::int64_t rows, std::int64_t columns) {
    const std::size_t bytes = experts * packed_fp4_bytes(rows, columns);
    std::byte* data = zeros(bytes);
    fill_fp4<<<1024, 256>>>(
        reinterpret_cast<unsigned*>(data),
        bytes / 4,
        fp4_record_bytes(columns) / 4,
        fp4_units_per_row(columns) * kFp4UnitBytes / 4
    );
    return data;
  }
  const __nv_bfloat16* vector(std::size_t count) {
    return reinterpret_cast<const __nv_bfloat16*>(bf16((count * 2 + 3) / 4 * 4));
  }

 private:
  std::vector<std::unique_ptr<DeviceBuffer>> buffers_;
  unsigned seed_ = 1;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <class Run>
double median_ms(int repeats, const Run& run) {
  cudaEvent_t begin;
  cudaEvent_t end;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  std::vector<double> times;
  for (int i = 0; i < repeats + 5; ++i) {
    check(cudaEventRecord(begin), "cudaEventRecord");
    run();
    check(cudaEventRecord(end), "cudaEventRecord");
    check(cudaEventSynchronize(end), "run");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
    if (i >= 5) times.push_back(ms);
  }
  return median(times);
}

double read_ceiling() {
  Weights weights;
  const std::size_t bytes = std::size_t{8} << 30;
  const std::byte* data = weights.bf16(bytes);
  auto* out = reinterpret_cast<unsigned*>(weights.zeros(4));
  double best = 0;
  for (const int blocks : {132, 528, 1056, 2112}) {
    const double ms = median_ms(6, [&] {
      read_all<<<blocks, 512>>>(reinterpret_cast<const uint4*>(data), bytes / 16, out);
    });
    best = std::max(best, bytes / ms / 1e6);
  }
  return best;
}

void bench(const char* name, const DecodeShape& shape, int context, double ceiling) {
  Weights weights;
  const int qkv_rows = (shape.num_heads + 2 * shape.num_kv_heads) * 64;
  const int num_blocks = (context + kBlockSize - 1) / kBlockSize;
  std::vector<DecodeLayer> layers;
  for (int i = 0; i < shape.num_layers; ++i) {
    const std::size_t cache =
        static_cast<std::size_t>(num_blocks) * shape.num_kv_heads * kBlockSize * 64;
    layers.push_back({
        weights.bf16(packed_bf16_bytes(qkv_rows, shape.hidden)),
        weights.bf16(packed_bf16_bytes(shape.hidden, shape.num_heads * 64)),
        weights.bf16(packed_bf16_bytes(shape.num_experts, shape.hidden)),
        weights.fp4(shape.num_experts, 2 * shape.intermediate, shape.hidden),
        weights.fp4(shape.num_experts, shape.hidden, shape.intermediate),
        weights.vector(shape.hidden),
        weights.vector(qkv_rows),
        weights.vector(shape.num_heads),
        weights.vector(shape.hidden),
        weights.vector(shape.hidden),
        weights.vector(shape.num_experts),
        weights.vector(static_cast<std::size_t>(shape.num_experts) * 2 * shape.intermediate),
        weights.vector(static_cast<std::size_t>(shape.num_experts) * shape.hidden),
        reinterpret_cast<__nv_bfloat16*>(weights.bf16(cache * 2)),
        reinterpret_cast<__nv_bfloat16*>(weights.bf16(cache * 2)),
        i % 2 == 0 ? 128 : 0,
    });
  }
  std::vector<std::int32_t> table(num_blocks);
  for (int i = 0; i < num_blocks; ++i) table[i] = i;
  const std::int32_t numbers[3] = {1234, context - 1, 0};
  std::vector<double> frequencies(32, 0.01);
  const auto upload = [&](const void* data, std::size_t bytes) {
    std::byte* out = weights.zeros(bytes);
    check(cudaMemcpy(out, data, bytes, cudaMemcpyHostToDevice), "upload");
    return out;
  };
  const auto* ints = reinterpret_cast<const std::int32_t*>(upload(numbers, sizeof(numbers)));
  const auto* device_table =
      reinterpret_cast<const std::int32_t*>(upload(table.data(), table.size() * 4));
  const DecodeStepArgs args{
      shape,
      reinterpret_cast<const DecodeLayer*>(
          upload(layers.data(), layers.size() * sizeof(DecodeLayer))
      ),
      weights.vector(static_cast<std::size_t>(shape.vocab) * shape.hidden),
      weights.vector(shape.hidden),
      weights.bf16(packed_bf16_bytes(shape.vocab, shape.hidden)),
      reinterpret_cast<const double*>(upload(frequencies.data(), 32 * 8)),
      ints,
      ints + 1,
      device_table,
      ints + 2,
      ints + 2,
      weights.zeros(decode_scratch_bytes(shape)),
      reinterpret_cast<float*>(weights.zeros(shape.vocab * sizeof(float))),
  };
  const int blocks = prepare_decode_step(shape, 0);
  const double ms = median_ms(60, [&] { launch_decode_step(args, blocks, nullptr); });
  int full_layers = shape.num_layers / 2;
  const double expert_bytes = 4.0 * (packed_fp4_bytes(2 * shape.intermediate, shape.hidden) +
                                     packed_fp4_bytes(shape.hidden, shape.intermediate));
  const double bytes = shape.num_layers * (packed_bf16_bytes(qkv_rows, shape.hidden) +
                                           packed_bf16_bytes(shape.hidden, shape.num_heads * 64) +
                                           expert_bytes + shape.num_experts * shape.hidden * 2.0) +
                       packed_bf16_bytes(shape.vocab, shape.hidden) +
                       2048.0 * (full_layers * context + full_layers * std::min(context, 128));
  std::printf(
      "%s context %d: %.3f ms, %.0f tokens/s, %.2f GB, %.0f GB/s, %.1f %% of %.0f\n",
      name,
      context,
      ms,
      1000 / ms,
      bytes / 1e9,
      bytes / ms / 1e6,
      100 * bytes / ms / 1e6 / ceiling,
      ceiling
  );
  std::fflush(stdout);
}

}  // namespace
}  // namespace gossamer::kernels::cuda

int main(int argc, char** argv) {
  using namespace gossamer::kernels::cuda;
  const int context = argc > 1 ? std::atoi(argv[1]) : 1024;
  const double ceiling = read_ceiling();
  std::printf("read ceiling %.0f GB/s\n", ceiling);
  std::fflush(stdout);
  bench("20b", {24, 2880, 2880, 64, 8, 32, 201088, 1e-5F, 7.0F, 1.3465735F}, context, ceiling);
  bench("120b", {36, 2880, 2880, 64, 8, 128, 201088, 1e-5F, 7.0F, 1.3465735F}, context, ceiling);
  return 0;
}
