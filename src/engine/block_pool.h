#pragma once

#include <cstdint>
#include <vector>

#include "kernels/backend.h"

namespace gossamer::engine {

using kernels::BlockId;

/// The blocks of one KV cache group, and who wants them: a block has users (sequences that read or
/// write it) and keepers (entries of the prefix cache). It is idle while only kept, and empty when
/// neither. Engine thread only.
class BlockPool {
 public:
  explicit BlockPool(int num_blocks);

  /// An empty block, with one user. There must be one (num_empty).
  BlockId take();

  /// One user more, of a block that is used or kept.
  void share(BlockId block);
  /// One user less.
  void give_back(BlockId block);

  /// One keeper more, of a block that is used or kept.
  void keep(BlockId block);
  /// One keeper less.
  void forget(BlockId block);

  bool in_use(BlockId block) const { return state(block).users > 0; }

  int num_blocks() const { return static_cast<int>(states_.size()); }
  int num_empty() const { return static_cast<int>(empty_.size()); }
  /// Blocks without users: empty now, or as soon as their keepers forget them.
  int num_free() const { return num_empty() + num_idle_; }

 private:
  struct State {
    std::int32_t users = 0;
    std::int32_t keepers = 0;
  };
  const State& state(BlockId block) const;
  State& state(BlockId block);

  std::vector<State> states_;
  std::vector<BlockId> empty_;
  int num_idle_ = 0;
};

}  // namespace gossamer::engine
