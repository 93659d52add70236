#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_split.cuh"

namespace gossamer::kernels::cuda {

// How prefill is shared out over thread blocks: grids are (kv heads, tiles of query rows, ...).

inline constexpr int kKeyTile = 4 * kBlockSize;  // keys that are copied at once

/// A tile of query rows: tokens of one sequence, and for each the query heads of one kv head.
struct QueryTile {
  int first_token;  // of the step's
  int num_tokens;
  int position;  // of the first token
  int block_table_start;
  int kv_head;
  int group_bits;  // 2^group_bits query heads share a kv head

  /// After the last key that a row sees.
  __device__ int end() const { return position + num_tokens; }
  /// The token and the query head of a row; the token may be num_tokens or more.
  __device__ int token(int row) const { return row >> group_bits; }
  __device__ int head(int row) const {
    return (kv_head << group_bits) + (row & ((1 << group_bits) - 1));
  }
};

/// Finds a thread block's tile: blockIdx.x is its kv head, blockIdx.y counts tiles, sequences in
/// order, the last tile of each first, since it sees most keys. Sequences with one row among others
/// are decoded elsewhere. False when there are fewer tiles.
__device__ inline bool find_tile(const AttentionKernelArgs& args, int group_bits, QueryTile& tile) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int tile_tokens = kPrefillRows >> group_bits;
  int index = static_cast<int>(blockIdx.y);
  for (int base = 0; base < args.num_sequences; base += 32) {
    // A lane looks at a sequence; all that the rest waits for is loaded at once.
    const int sequence = min(base + lane, args.num_sequences - 1);
    const int begin = args.cu_seqlens_q[sequence];
    const int length = args.cu_seqlens_q[sequence + 1] - begin;
    const int context = args.context_lens[sequence];
    const int block_table_start = args.block_table_starts[sequence];
    const bool is_here = base + lane < args.num_sequences;
    const bool is_decoded = length == 1 && args.num_sequences > 1;
    int end = is_here && !is_decoded ? (length + tile_tokens - 1) / tile_tokens : 0;
    for (int lanes = 1; lanes < 32; lanes *= 2) {
      const int below = __shfl_up_sync(~0U, end, lanes);
      if (lane >= lanes) end += below;
    }
    const unsigned beyond = __ballot_sync(~0U, index < end);
    if (beyond != 0) {
      const int owner = __ffs(static_cast<int>(beyond)) - 1;
      const int first = (end - 1 - index) * tile_tokens;  // of the sequence's new tokens
      tile.first_token = __shfl_sync(~0U, begin + first, owner);
      tile.num_tokens = __shfl_sync(~0U, min(tile_tokens, length - first), owner);
      tile.position = __shfl_sync(~0U, context - length + first, owner);
      tile.block_table_start = __shfl_sync(~0U, block_table_start, owner);
      tile.kv_head = static_cast<int>(blockIdx.x);
      tile.group_bits = group_bits;
      return true;
    }
    index -= __shfl_sync(~0U, end, 31);
  }
  return false;
}

/// Keys that rows of the tile see, from the beginning of a block.
__device__ inline KeyRange visible_keys(const QueryTile& tile, int sliding_window) {
  const int hidden = sliding_window > 0 ? max(0, tile.position - sliding_window + 1) : 0;
  return {hidden / kBlockSize * kBlockSize, tile.end()};
}

/// The share of one of `splits` thread blocks in the keys of a tile of query rows: tiles of keys
/// [begin, end).
struct KeyShare {
  int begin;
  int end;
  int parts;  // shares that are not empty
};

__device__ inline KeyShare take_key_share(KeyRange visible, int splits) {
  const int total = (visible.end - visible.first + kKeyTile - 1) / kKeyTile;
  const int length = (total + splits - 1) / splits;
  const int begin = static_cast<int>(blockIdx.z) * length;
  return {begin, min(total, begin + length), (total + length - 1) / length};
}

/// Where the states of a tile's shares begin in scratch, in parts.
__device__ inline std::size_t first_part(const AttentionKernelArgs& args, int splits) {
  return (static_cast<std::size_t>(blockIdx.y) * args.num_kv_heads + blockIdx.x) * splits;
}

}  // namespace gossamer::kernels::cuda
