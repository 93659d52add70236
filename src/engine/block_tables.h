#pragma once

#include <span>
#include <vector>

#include "engine/block_pool.h"

namespace gossamer::engine {

/// The blocks of one sequence in both groups, as they grow and, in the sliding group, are given
/// back. Engine thread only.
class BlockTables {
 public:
  /// sliding_window: keys a sliding layer sees. reserve_positions: room kept in the tables.
  BlockTables(BlockPool& full, BlockPool& sliding, int sliding_window, int reserve_positions);
  ~BlockTables();
  BlockTables(const BlockTables&) = delete;
  BlockTables& operator=(const BlockTables&) = delete;

  /// Begins, empty, with blocks that others filled: all of full, and the last ones of sliding.
  void resume(std::span<const BlockId> full, std::span<const BlockId> sliding);

  /// Takes blocks so that positions below num_positions have a place. The pools must have them
  /// empty: as many as missing_full and missing_sliding say.
  void grow(int num_positions);
  void grow_full(int num_positions);

  int missing_full(int num_positions) const;
  int missing_sliding(int num_positions) const;

  /// Gives back sliding blocks that no query at or after next_position can see.
  void release_passed(int next_position);

  /// Uses `other` in the place of full block `index`, which holds the same.
  void replace_full(std::size_t index, BlockId other);

  std::span<const BlockId> full() const { return full_; }
  std::span<const BlockId> sliding() const { return sliding_; }

 private:
  BlockPool* full_pool_;
  BlockPool* sliding_pool_;
  int sliding_window_;
  std::vector<BlockId> full_;
  std::vector<BlockId> sliding_;  // kNoBlock where the window has passed
  std::size_t first_live_ = 0;    // of sliding_
};

/// Blocks that hold num_positions.
int blocks_for(int num_positions);

/// The largest multiple of the block size that is at most `position`.
int block_start(int position);

/// Index of the first sliding block that queries at or after `position` see.
int first_block_seen(int position, int sliding_window);

/// The most sliding blocks a sequence can hold at once: its window, and the tokens of one step.
int max_sliding_blocks(int sliding_window, int max_batch_tokens, int num_positions);

}  // namespace gossamer::engine
