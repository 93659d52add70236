#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace gossamer::kernels::cuda {

/// Writes keys and values of new tokens into the slots of a cache laid out as packed_weights.h
/// says.
struct StoreKvArgs {
  const __nv_bfloat16* k;            // [num_tokens, num_heads, 64]
  const __nv_bfloat16* v;            // [num_tokens, num_heads, 64]
  const std::int32_t* slot_mapping;  // [num_tokens]
  __nv_bfloat16* keys;
  __nv_bfloat16* values;
  int num_tokens;
  int num_heads;
};

void launch_store_kv(const StoreKvArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
