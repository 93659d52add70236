#include "engine/block_pool.h"

#include <algorithm>

#include "base/check.h"

namespace gossamer::engine {

BlockPool::BlockPool(int num_blocks) : num_blocks_(num_blocks) {
  free_.reserve(static_cast<std::size_t>(num_blocks));
  // Lowest ids on top, so that a small run touches little memory.
  for (BlockId block = num_blocks - 1; block >= 0; --block) free_.push_back(block);
}

BlockId BlockPool::take() {
  GOSSAMER_CHECK(!free_.empty());
  const BlockId block = free_.back();
  free_.pop_back();
  return block;
}

void BlockPool::give_back(BlockId block) {
  GOSSAMER_CHECK(block >= 0 && block < num_blocks_ && num_free() < num_blocks_);
  free_.push_back(block);
}

BlockTables::BlockTables(
    BlockPool& full, BlockPool& sliding, int sliding_window, int reserve_positions
)
    : full_pool_(&full), sliding_pool_(&sliding), sliding_window_(sliding_window) {
  full_.reserve(static_cast<std::size_t>(blocks_for(reserve_positions)));
  sliding_.reserve(static_cast<std::size_t>(blocks_for(reserve_positions)));
}

BlockTables::~BlockTables() {
  for (const BlockId block : full_) full_pool_->give_back(block);
  for (std::size_t i = first_live_; i < sliding_.size(); ++i) sliding_pool_->give_back(sliding_[i]);
}

void BlockTables::grow(int num_positions) {
  while (static_cast<int>(full_.size()) < blocks_for(num_positions)) {
    full_.push_back(full_pool_->take());
    sliding_.push_back(sliding_pool_->take());
  }
}

void BlockTables::release_passed(int next_position) {
  const int oldest_seen = std::max(0, next_position - sliding_window_ + 1);
  const auto first_needed = static_cast<std::size_t>(oldest_seen / kernels::kBlockSize);
  for (; first_live_ < std::min(first_needed, sliding_.size()); ++first_live_) {
    sliding_pool_->give_back(sliding_[first_live_]);
    sliding_[first_live_] = kernels::kNoBlock;
  }
}

int blocks_for(int num_positions) {
  return (num_positions + kernels::kBlockSize - 1) / kernels::kBlockSize;
}

int max_sliding_blocks(int sliding_window, int max_batch_tokens, int num_positions) {
  // Both ends of the stretch can fall inside a block.
  const int stretch = std::min(sliding_window, num_positions) + max_batch_tokens;
  return std::min(blocks_for(stretch) + 1, blocks_for(num_positions));
}

}  // namespace gossamer::engine
