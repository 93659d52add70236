#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

/// What follows the product of queries, keys and values: queries and keys rotated, queries apart,
/// keys and values in their slots of the cache.
struct PlaceQkvArgs {
  const __nv_bfloat16*
      qkv;                  // [num_tokens, num_heads + 2 * num_kv_heads, 64]: queries, keys, values
  const float* rope_table;  // [num_tokens, 64]: cosines, then sines
  const std::int32_t* slot_mapping;  // [num_tokens]
  __nv_bfloat16* q;                  // [num_tokens, num_heads, 64]
  __nv_bfloat16* keys;               // laid out as packed_weights.h says
  __nv_bfloat16* values;
  int num_tokens;
  int num_heads;
  int num_kv_heads;
};

void launch_place_qkv(const PlaceQkvArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
