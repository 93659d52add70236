#pragma once

#include <vector>

#include "kernels/backend.h"

namespace gossamer::engine {

using kernels::BlockId;

/// The free blocks of one KV cache group. Engine thread only.
class BlockPool {
 public:
  explicit BlockPool(int num_blocks);

  /// A free block. There must be one: the scheduler admits no sequence that could run out.
  BlockId take();
  void give_back(BlockId block);

  int num_free() const { return static_cast<int>(free_.size()); }
  int num_blocks() const { return num_blocks_; }

 private:
  int num_blocks_;
  std::vector<BlockId> free_;
};

/// The blocks of one sequence in both groups, as they grow and, in the sliding group, are given
/// back.
class BlockTables {
 public:
  /// sliding_window: keys a sliding layer sees. reserve_positions: room kept in the tables.
  BlockTables(BlockPool& full, BlockPool& sliding, int sliding_window, int reserve_positions);
  ~BlockTables();
  BlockTables(const BlockTables&) = delete;
  BlockTables& operator=(const BlockTables&) = delete;

  /// Takes blocks so that positions below num_positions have a place.
  void grow(int num_positions);

  /// Gives back sliding blocks that no query at or after next_position can see.
  void release_passed(int next_position);

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

/// The most sliding blocks a sequence can hold at once: its window, and the tokens of one step.
int max_sliding_blocks(int sliding_window, int max_batch_tokens, int num_positions);

}  // namespace gossamer::engine
