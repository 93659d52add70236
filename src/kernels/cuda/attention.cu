#include <algorithm>
#include <bit>

#include "base/check.h"
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_split.cuh"

// How a step's attention is shared out. Rows of decoding sequences are bound by reading the cache,
// so they are split until every multiprocessor reads; rows of a prompt are bound by the tensor
// cores, and are split only where there are too few tiles of them to keep the device busy.

namespace gossamer::kernels::cuda {
namespace {

// Thread blocks of a multiprocessor that read the cache as fast as it can be read.
constexpr int kDecodeBlocks = 2;
// A thread block that decodes has more keys only where the grid would become too large: one long
// sequence must not keep a batch waiting.
constexpr int kMaxDecodeKeys = 4096;
constexpr int kMinPrefillKeys = 512;  // of a thread block

constexpr int ceil_div(int a, int b) {
  return (a + b - 1) / b;
}

}  // namespace

int attention_decode_splits(
    int num_sequences, int num_kv_heads, int max_keys, int num_multiprocessors
) {
  const int pairs = num_sequences * num_kv_heads;
  const int filled = kDecodeBlocks * num_multiprocessors / pairs;
  const int largest = kMaxDecodeBlocks * num_multiprocessors / pairs;
  const int balanced = std::min(ceil_div(max_keys, kMaxDecodeKeys), largest);
  const int useful = ceil_div(max_keys, kMinDecodeKeys);
  return std::max(1, std::min(useful, std::max(filled, balanced)));
}

int attention_prefill_splits(
    int num_tiles, int num_kv_heads, int max_keys, int num_multiprocessors
) {
  const int resident = kResidentPrefillBlocks * num_multiprocessors;
  return std::max(1, std::min(max_keys / kMinPrefillKeys, resident / (num_tiles * num_kv_heads)));
}

int attention_max_keys(const AttentionKernelArgs& args, int tile_tokens) {
  if (args.sliding_window == 0) return args.max_context_len;
  return std::min(args.max_context_len, args.sliding_window + tile_tokens - 1);
}

std::size_t attention_scratch_bytes(const AttentionLimits& limits) {
  const std::size_t counts = static_cast<std::size_t>(limits.max_sequences) *
                             static_cast<std::size_t>(limits.num_kv_heads);
  const std::size_t row_bytes = kAttentionHeadDim * sizeof(float) + sizeof(float2);
  return partial_rows(limits.num_multiprocessors) * row_bytes + counts * sizeof(unsigned);
}

void launch_attention(const AttentionKernelArgs& args, cudaStream_t stream) {
  GOSSAMER_CHECK(args.num_heads % args.num_kv_heads == 0);
  const int group = args.num_heads / args.num_kv_heads;
  GOSSAMER_CHECK(group <= kMaxGroup && std::has_single_bit(static_cast<unsigned>(group)));
  if (args.num_tokens == 0) return;
  if (args.max_query_len > 1) launch_attention_prefill(args, stream);
  if (args.max_query_len == 1 || args.num_sequences > 1) launch_attention_decode(args, stream);
}

}  // namespace gossamer::kernels::cuda
