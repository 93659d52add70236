#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "kernels/cuda/gemm.cuh"

namespace gossamer::kernels::cuda {

__device__ __forceinline__ float bias_at(const __nv_bfloat16* bias, std::int64_t index) {
  return bias == nullptr ? 0.0F : __bfloat162float(bias[index]);
}

/// Four biases; index is a multiple of 4.
__device__ __forceinline__ float4 biases_at(const __nv_bfloat16* bias, std::int64_t index) {
  if (bias == nullptr) return make_float4(0, 0, 0, 0);
  const uint2 words = *reinterpret_cast<const uint2*>(bias + index);
  return make_float4(
      __uint_as_float(words.x << 16),
      __uint_as_float(words.x & 0xFFFF0000),
      __uint_as_float(words.y << 16),
      __uint_as_float(words.y & 0xFFFF0000)
  );
}

__device__ __forceinline__ float4 operator+(float4 a, float4 b) {
  return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

/// Stores the product of a row, without its bias.
__device__ __forceinline__ void store_gemm(
    const GemmArgs& args, std::int64_t token, int row, float sum
) {
  const std::int64_t index = token * args.y_stride + row;
  const float value = sum + bias_at(args.bias, row);
  if (args.output == GemmOutput::kBf16) {
    static_cast<__nv_bfloat16*>(args.y)[index] = __float2bfloat16_rn(value);
  } else {
    float& y = static_cast<float*>(args.y)[index];
    y = args.output == GemmOutput::kAddF32 ? y + value : value;
  }
}

/// Stores the products of four rows, without their biases; row is a multiple of 4.
__device__ __forceinline__ void store_gemm(
    const GemmArgs& args, std::int64_t token, int row, float4 sums
) {
  const std::int64_t index = token * args.y_stride + row;
  const float4 values = sums + biases_at(args.bias, row);
  if (args.output == GemmOutput::kBf16) {
    auto* y = reinterpret_cast<__nv_bfloat162*>(static_cast<__nv_bfloat16*>(args.y) + index);
    y[0] = __floats2bfloat162_rn(values.x, values.y);
    y[1] = __floats2bfloat162_rn(values.z, values.w);
  } else {
    auto& y = *reinterpret_cast<float4*>(static_cast<float*>(args.y) + index);
    y = args.output == GemmOutput::kAddF32 ? y + values : values;
  }
}

}  // namespace gossamer::kernels::cuda
