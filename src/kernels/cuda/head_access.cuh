#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/step.h"

namespace gossamer::kernels::cuda {

// A head of queries, keys or values: 64 bf16. Sixteen lanes have one; lane i has the elements
// {2i, 2i + 1, 2i + 32, 2i + 33}, which are two pairs of the rotation.

inline constexpr int kHeadDim = 64;
inline constexpr int kHeadPairs = kHeadDim / 2;
inline constexpr int kHeadLanes = kHeadPairs / 2;

/// What a lane has of a head.
struct HeadPart {
  float2 low;   // elements 2i, 2i + 1
  float2 high;  // elements 2i + 32, 2i + 33
};

__device__ inline HeadPart load_head(const __nv_bfloat16* head, int lane) {
  const auto* pairs = reinterpret_cast<const __nv_bfloat162*>(head);
  return {__bfloat1622float2(pairs[lane]), __bfloat1622float2(pairs[lane + kHeadLanes])};
}

__device__ inline void store_head(const HeadPart& part, __nv_bfloat16* head, int lane) {
  auto* pairs = reinterpret_cast<__nv_bfloat162*>(head);
  pairs[lane] = __float22bfloat162_rn(part.low);
  pairs[lane + kHeadLanes] = __float22bfloat162_rn(part.high);
}

/// A lane's two pairs, rotated by a token's row of the table: cosines, then sines.
__device__ inline HeadPart rotated(const HeadPart& part, const float* table_row, int lane) {
  const float2 cosine = reinterpret_cast<const float2*>(table_row)[lane];
  const float2 sine = reinterpret_cast<const float2*>(table_row)[lane + kHeadLanes];
  return {
      {part.low.x * cosine.x - part.high.x * sine.x, part.low.y * cosine.y - part.high.y * sine.y},
      {part.high.x * cosine.x + part.low.x * sine.x, part.high.y * cosine.y + part.low.y * sine.y}};
}

/// Where the cell of a slot's block begins, in the cache that packed_weights.h describes.
__device__ inline std::int64_t cell_offset(std::int32_t slot, int head, int num_heads) {
  return (std::int64_t{slot / kBlockSize} * num_heads + head) * kBlockSize * kHeadDim;
}

/// Where a slot's key begins.
__device__ inline std::int64_t key_offset(std::int32_t slot, int head, int num_heads) {
  return cell_offset(slot, head, num_heads) + slot % kBlockSize * kHeadDim;
}

/// Writes a lane's part of a slot's value, which is a column of its cell.
__device__ inline void store_value(
    const HeadPart& part, __nv_bfloat16* cell, std::int32_t slot, int lane
) {
  __nv_bfloat16* column = cell + slot % kBlockSize;
  const int element = 2 * lane;
  column[element * kBlockSize] = __float2bfloat16_rn(part.low.x);
  column[(element + 1) * kBlockSize] = __float2bfloat16_rn(part.low.y);
  column[(element + kHeadPairs) * kBlockSize] = __float2bfloat16_rn(part.high.x);
  column[(element + kHeadPairs + 1) * kBlockSize] = __float2bfloat16_rn(part.high.y);
}

}  // namespace gossamer::kernels::cuda
