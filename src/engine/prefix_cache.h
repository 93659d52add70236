#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/token_id.h"
#include "engine/block_pool.h"
#include "engine/block_tables.h"

namespace gossamer::engine {

/// The blocks of both groups that hold the same tokens.
struct BlockPair {
  BlockId full;
  BlockId sliding;
};

/// Where a sequence can begin.
struct PrefixStart {
  int position = 0;  // what is before it is computed
  /// Where `position` is inside a block: others' blocks, of which it takes the tokens before it.
  std::optional<BlockPair> partial;
};

/// Remembers computed prefixes in the blocks that hold them. Full-attention blocks form chains: a
/// block is known by the block before it and its own 16 tokens, compared exactly, so no prompt can
/// get another's keys. To resume at a position, the sliding layers need the window before it too:
/// snapshots keep those blocks at the positions that were asked for, and of the blocks behind. Only
/// filled blocks are shared, and nobody writes to them again; of a block that begins as the
/// sequence goes on, the beginning can be copied. What nobody uses goes when blocks are needed:
/// least recently used first, ends of chains before their beginnings. Engine thread only.
class PrefixCache {
 public:
  /// Blocks behind a snapshot that are remembered: the end of what prompts have in common, and what
  /// often follows alike, as the beginning of the next message.
  static constexpr int kBlocksAhead = 2;

  /// The pools must outlive the cache. A cache that is not enabled remembers nothing.
  enum class Mode : std::uint8_t { kDisabled, kEnabled };
  PrefixCache(BlockPool& full, BlockPool& sliding, int sliding_window, Mode mode);
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  /// Lets a sequence begin, with empty tables, at the longest position whose keys are all here: 0
  /// when there is none, and always less than tokens.size(). The tables get the whole blocks.
  PrefixStart resume(std::span<const TokenId> tokens, BlockTables& tables) const;

  /// Remembers the filled block `index` of a sequence, whose earlier blocks are known. Where the
  /// same is known already, the sequence's table changes to the known block.
  void publish(std::span<const TokenId> tokens, std::size_t index, BlockTables& tables);

  /// Makes it possible to resume at `position`, a multiple of the block size up to which the
  /// sequence's blocks are known; does nothing where the tables have dropped what it takes. Of the
  /// num_known blocks that are known, kBlocksAhead behind are remembered too; when more of them are
  /// known, it may be called again.
  void snapshot(int position, const BlockTables& tables, int num_known);

  /// Marks the first num_blocks of a sequence as used now.
  void touch(std::span<const BlockId> full, int num_blocks);

  /// Forgets idle blocks until so many are empty. There must be that many free (num_free).
  void make_room(int full_blocks, int sliding_blocks);

  int num_snapshots() const { return static_cast<int>(snapshots_.size()); }

 private:
  struct Key {
    BlockId parent;  // kNoBlock: the beginning
    std::array<TokenId, kernels::kBlockSize> tokens;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  struct Snapshot {
    BlockId node;
    std::vector<BlockId> sliding;  // the window's blocks, oldest first
  };
  using Snapshots = std::list<Snapshot>;
  /// What is known of a full block; at its index.
  struct Node {
    Key key{};
    bool known = false;
    int num_children = 0;
    std::uint64_t last_used = 0;
    std::optional<Snapshots::iterator> snapshot;
    BlockId ahead = kernels::kNoBlock;    // the child that has `sliding`
    BlockId sliding = kernels::kNoBlock;  // kept: the same tokens' block in the sliding group
  };
  using Leaf = std::pair<std::uint64_t, BlockId>;  // last used, node
  using Leaves = std::set<Leaf>;

  static Key key_of(std::span<const TokenId> tokens, std::size_t index, BlockId parent);
  Node& node(BlockId block) { return nodes_[static_cast<std::size_t>(block)]; }
  const Node& node(BlockId block) const { return nodes_[static_cast<std::size_t>(block)]; }
  void use_now(BlockId block);
  Leaves::iterator evict(Leaves::iterator leaf);
  void evict(Snapshots::iterator snapshot);
  /// From the end of a chain on, over the blocks ahead: whole ones join it.
  PrefixStart go_ahead(
      std::span<const TokenId> before, std::vector<BlockId>& chain, std::vector<BlockId>& sliding
  ) const;
  void remember_ahead(std::size_t index, const BlockTables& tables, std::size_t num_known);
  void set_ahead(BlockId parent, BlockPair child);
  void drop_ahead(BlockId parent);
  bool has_idle_block(const Snapshot& snapshot) const;
  void make_sliding_room(int sliding_blocks);

  BlockPool* full_;
  BlockPool* sliding_;
  int sliding_window_;
  bool enabled_;
  std::vector<Node> nodes_;  // [full blocks]
  std::unordered_map<Key, BlockId, KeyHash> known_;
  Leaves leaves_;        // nodes without children, used or not
  Snapshots snapshots_;  // least recently used first
  std::uint64_t clock_ = 0;
};

}  // namespace gossamer::engine
