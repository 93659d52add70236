#include "engine/block_pool.h"

#include <utility>

#include "base/check.h"

namespace gossamer::engine {

BlockPool::BlockPool(int num_blocks) : states_(static_cast<std::size_t>(num_blocks)) {
  empty_.reserve(states_.size());
  // Lowest ids on top, so that a small run touches little memory.
  for (BlockId block = num_blocks - 1; block >= 0; --block) empty_.push_back(block);
}

const BlockPool::State& BlockPool::state(BlockId block) const {
  GOSSAMER_CHECK(block >= 0 && block < num_blocks());
  return states_[static_cast<std::size_t>(block)];
}

BlockPool::State& BlockPool::state(BlockId block) {
  return const_cast<State&>(std::as_const(*this).state(block));  // NOLINT
}

BlockId BlockPool::take() {
  GOSSAMER_CHECK(!empty_.empty());
  const BlockId block = empty_.back();
  empty_.pop_back();
  state(block).users = 1;
  return block;
}

void BlockPool::share(BlockId block) {
  State& shared = state(block);
  GOSSAMER_CHECK(shared.users + shared.keepers > 0);
  if (shared.users++ == 0) --num_idle_;
}

void BlockPool::give_back(BlockId block) {
  State& returned = state(block);
  GOSSAMER_CHECK(returned.users > 0);
  if (--returned.users > 0) return;
  if (returned.keepers > 0) {
    ++num_idle_;
  } else {
    empty_.push_back(block);
  }
}

void BlockPool::keep(BlockId block) {
  State& kept = state(block);
  GOSSAMER_CHECK(kept.users + kept.keepers > 0);
  ++kept.keepers;
}

void BlockPool::forget(BlockId block) {
  State& forgotten = state(block);
  GOSSAMER_CHECK(forgotten.keepers > 0);
  if (--forgotten.keepers > 0 || forgotten.users > 0) return;
  --num_idle_;
  empty_.push_back(block);
}

}  // namespace gossamer::engine
