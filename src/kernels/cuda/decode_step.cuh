#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace gossamer::kernels::cuda {

/// Experts that a token uses; the persistent step is compiled for it.
inline constexpr int kDecodeExperts = 4;

inline constexpr int kMaxDecodeLayers = 40;

/// One layer as the persistent step reads it: device pointers. Matrices are packed as
/// packed_weights.h says, vectors are as released.
struct DecodeLayer {
  const std::byte* qkv;                // [(num_heads + 2 * num_kv_heads) * 64, hidden]
  const std::byte* attn_out;           // [hidden, num_heads * 64]
  const std::byte* router;             // [num_experts, hidden]
  const std::byte* gate_up;            // MXFP4 [num_experts, 2 * intermediate, hidden]
  const std::byte* down;               // MXFP4 [num_experts, hidden, intermediate]
  const __nv_bfloat16* attn_norm;      // [hidden]
  const __nv_bfloat16* qkv_bias;       // [(num_heads + 2 * num_kv_heads) * 64]
  const __nv_bfloat16* sinks;          // [num_heads]
  const __nv_bfloat16* attn_out_bias;  // [hidden]
  const __nv_bfloat16* mlp_norm;       // [hidden]
  const __nv_bfloat16* router_bias;    // [num_experts]
  const __nv_bfloat16* gate_up_bias;   // [num_experts, 2 * intermediate]
  const __nv_bfloat16* down_bias;      // [num_experts, hidden]
  __nv_bfloat16* keys;                 // [num_blocks, num_kv_heads, kBlockSize, 64]
  __nv_bfloat16* values;               // [num_blocks, num_kv_heads, 64, kBlockSize]
  std::int64_t sliding_window;         // 0: full attention
};

struct DecodeShape {
  int num_layers = 0;
  int hidden = 0;
  int intermediate = 0;
  int num_heads = 0;
  int num_kv_heads = 0;
  int num_experts = 0;
  int vocab = 0;
  float rms_norm_eps = 0;
  float swiglu_limit = 0;
  float rope_concentration = 0;
};

/// One token of one sequence through the whole model.
struct DecodeStepArgs {
  DecodeShape shape;
  const DecodeLayer* layers;          // device [num_layers]
  const __nv_bfloat16* embedding;     // [vocab, hidden], row-major
  const __nv_bfloat16* norm;          // [hidden]
  const std::byte* unembedding;       // packed [vocab, hidden]
  const double* inverse_frequencies;  // device [32]
  const std::int32_t* token;          // device [1]
  const std::int32_t* position;       // device [1]: context length - 1
  const std::int32_t* block_tables;   // device
  const std::int32_t* full_start;     // device [1]: where in block_tables the sequence's table for
  const std::int32_t* sliding_start;  // full attention begins, and the one for sliding windows
  std::byte* scratch;                 // decode_scratch_bytes, cleared by the launcher where needed
  float* logits;                      // [vocab]
};

/// Device memory that a step works in.
std::size_t decode_scratch_bytes(const DecodeShape& shape);

/// Whether the persistent step can run this shape on this device: sm_90 or newer, enough shared
/// memory, top-4 routing with at most 128 experts, heads of 64, groups of at most 8.
bool can_decode_persistently(const DecodeShape& shape, int device);

/// Prepares the kernel for this shape and device; returns the number of blocks to launch with: one
/// on each multiprocessor.
int prepare_decode_step(const DecodeShape& shape, int device);

/// Runs the step: embedding to logits, the new token's keys and values into the cache. num_blocks
/// must be what prepare_decode_step gave, and the device otherwise idle, since the blocks wait for
/// each other.
void launch_decode_step(const DecodeStepArgs& args, int num_blocks, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
