#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace gossamer::kernels::cuda {

/// Attention of a ragged step over the paged KV cache of one layer. Pointers are to device memory;
/// the cache is laid out as packed_weights.h says, and the head dimension is 64. The index arrays
/// are those of AttentionBatch, and are read on the device: a captured launch stays valid while
/// they change, as long as the extents below do.
struct AttentionKernelArgs {
  const __nv_bfloat16* q;      // [num_tokens, num_heads, 64], rotated
  const __nv_bfloat16* sinks;  // [num_heads]
  const __nv_bfloat16* keys;
  const __nv_bfloat16* values;
  const std::int32_t* cu_seqlens_q;        // [num_sequences + 1]
  const std::int32_t* context_lens;        // [num_sequences]
  const std::int32_t* block_table;         // all sequences' tables, back to back
  const std::int32_t* block_table_starts;  // [num_sequences + 1]
  int num_sequences;
  int num_tokens;
  int max_query_len;
  /// At least every context length; it sizes the grid, so round it up for a graph that is to serve
  /// growing contexts.
  int max_context_len;
  int num_heads;
  int num_kv_heads;
  int sliding_window;       // keys seen, own position included; 0: all
  int num_multiprocessors;  // of the device
  __nv_bfloat16* out;       // [num_tokens, num_heads, 64]
  /// attention_scratch_bytes() bytes, aligned to 16, zeroed before the first launch that uses them.
  /// A launch leaves them fit for the next one in the same stream, whatever that one's extents.
  void* scratch;
};

/// The largest launches that scratch memory must serve.
struct AttentionLimits {
  int max_sequences;
  int max_context_len;
  int num_heads;
  int num_kv_heads;
  int num_multiprocessors;
};

/// Bytes of scratch that every launch within the limits can use.
std::size_t attention_scratch_bytes(const AttentionLimits& limits);

/// out = attention of every query row over its sequence's cache: causal, within the window, the
/// sink in the softmax denominator. At most 8 query heads share a kv head. A sequence with one
/// query row is split over the multiprocessors, others run in tiles of rows. The result of a launch
/// does not depend on timing, bit for bit.
void launch_attention(const AttentionKernelArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
