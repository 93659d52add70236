#include "engine/block_tables.h"

#include <algorithm>

#include "base/check.h"

namespace gossamer::engine {

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

void BlockTables::resume(std::span<const BlockId> full, std::span<const BlockId> sliding) {
  GOSSAMER_CHECK(full_.empty() && sliding_.empty() && sliding.size() <= full.size());
  full_.assign(full.begin(), full.end());
  first_live_ = full.size() - sliding.size();
  sliding_.assign(first_live_, kernels::kNoBlock);
  sliding_.insert(sliding_.end(), sliding.begin(), sliding.end());
  for (const BlockId block : full) full_pool_->share(block);
  for (const BlockId block : sliding) sliding_pool_->share(block);
}

int BlockTables::missing_full(int num_positions) const {
  return std::max(0, blocks_for(num_positions) - static_cast<int>(full_.size()));
}

int BlockTables::missing_sliding(int num_positions) const {
  return std::max(0, blocks_for(num_positions) - static_cast<int>(sliding_.size()));
}

void BlockTables::grow_full(int num_positions) {
  for (int i = missing_full(num_positions); i > 0; --i) full_.push_back(full_pool_->take());
}

void BlockTables::grow(int num_positions) {
  grow_full(num_positions);
  for (int i = missing_sliding(num_positions); i > 0; --i) {
    sliding_.push_back(sliding_pool_->take());
  }
}

void BlockTables::release_passed(int next_position) {
  const auto first_needed =
      static_cast<std::size_t>(first_block_seen(next_position, sliding_window_));
  for (; first_live_ < std::min(first_needed, sliding_.size()); ++first_live_) {
    sliding_pool_->give_back(sliding_[first_live_]);
    sliding_[first_live_] = kernels::kNoBlock;
  }
}

void BlockTables::replace_full(std::size_t index, BlockId other) {
  full_pool_->share(other);
  full_pool_->give_back(full_[index]);
  full_[index] = other;
}

int blocks_for(int num_positions) {
  return (num_positions + kernels::kBlockSize - 1) / kernels::kBlockSize;
}

int block_start(int position) {
  return position / kernels::kBlockSize * kernels::kBlockSize;
}

int first_block_seen(int position, int sliding_window) {
  return std::max(0, position - sliding_window + 1) / kernels::kBlockSize;
}

int max_sliding_blocks(int sliding_window, int max_batch_tokens, int num_positions) {
  // Both ends of the stretch can fall inside a block.
  const int stretch = std::min(sliding_window, num_positions) + max_batch_tokens;
  return std::min(blocks_for(stretch) + 1, blocks_for(num_positions));
}

}  // namespace gossamer::engine
