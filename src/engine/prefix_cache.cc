#include "engine/prefix_cache.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace gossamer::engine {
namespace {

using kernels::kBlockSize;
using kernels::kNoBlock;

/// A multiply and a shift for each word: distribution only, equality is what decides.
std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15U;
  return hash ^ (hash >> 29U);
}

}  // namespace

std::size_t PrefixCache::KeyHash::operator()(const Key& key) const {
  std::uint64_t hash = mix(0, static_cast<std::uint32_t>(key.parent));
  for (const TokenId token : key.tokens) hash = mix(hash, token);
  return hash;
}

PrefixCache::PrefixCache(BlockPool& full, BlockPool& sliding, int sliding_window, Mode mode)
    : full_(&full),
      sliding_(&sliding),
      sliding_window_(sliding_window),
      enabled_(mode == Mode::kEnabled),
      nodes_(enabled_ ? static_cast<std::size_t>(full.num_blocks()) : 0) {}

PrefixCache::~PrefixCache() {
  while (!snapshots_.empty()) evict(snapshots_.begin());
  for (const auto& [key, block] : known_) full_->forget(block);
}

PrefixCache::Key PrefixCache::key_of(
    std::span<const TokenId> tokens, std::size_t index, BlockId parent
) {
  Key key{parent, {}};
  std::copy_n(
      tokens.begin() + static_cast<std::ptrdiff_t>(index * kBlockSize),
      kBlockSize,
      key.tokens.begin()
  );
  return key;
}

PrefixStart PrefixCache::resume(std::span<const TokenId> tokens, BlockTables& tables) const {
  if (!enabled_ || tokens.empty()) return {};
  const auto before = tokens.first(tokens.size() - 1);  // one is left to compute
  std::vector<BlockId> chain;
  std::size_t length = 0;  // of the longest part of the chain that has a snapshot
  BlockId parent = kNoBlock;
  for (std::size_t index = 0; index < before.size() / kBlockSize; ++index) {
    const auto found = known_.find(key_of(tokens, index, parent));
    if (found == known_.end()) break;
    parent = found->second;
    chain.push_back(parent);
    if (node(parent).snapshot) length = chain.size();
  }
  if (length == 0) return {};
  chain.resize(length);
  std::vector<BlockId> sliding = (*node(chain.back()).snapshot)->sliding;
  const PrefixStart start = go_ahead(before, chain, sliding);
  tables.resume(chain, sliding);
  return start;
}

PrefixStart PrefixCache::go_ahead(
    std::span<const TokenId> before, std::vector<BlockId>& chain, std::vector<BlockId>& sliding
) const {
  for (BlockId next = node(chain.back()).ahead; next != kNoBlock; next = node(next).ahead) {
    const auto& known = node(next).key.tokens;
    const auto rest = before.subspan(chain.size() * kBlockSize);
    const auto end = std::mismatch(known.begin(), known.end(), rest.begin(), rest.end()).first;
    const auto common = static_cast<int>(end - known.begin());
    if (common < kBlockSize) {
      const int position = static_cast<int>(chain.size()) * kBlockSize + common;
      if (common == 0) return {position, {}};
      return {position, BlockPair{next, node(next).sliding}};
    }
    chain.push_back(next);
    sliding.push_back(node(next).sliding);
  }
  return {static_cast<int>(chain.size()) * kBlockSize, {}};
}

void PrefixCache::publish(std::span<const TokenId> tokens, std::size_t index, BlockTables& tables) {
  if (!enabled_) return;
  const BlockId block = tables.full()[index];
  const BlockId parent = index == 0 ? kNoBlock : tables.full()[index - 1];
  const auto [place, is_new] = known_.try_emplace(key_of(tokens, index, parent), block);
  if (!is_new) {
    if (place->second != block) tables.replace_full(index, place->second);
    use_now(place->second);
    return;
  }
  full_->keep(block);
  if (parent != kNoBlock) {
    GOSSAMER_CHECK(node(parent).known);
    if (node(parent).num_children++ == 0) leaves_.erase({node(parent).last_used, parent});
  }
  node(block) = {.key = place->first, .known = true, .last_used = ++clock_};
  leaves_.emplace(clock_, block);
}

void PrefixCache::snapshot(int position, const BlockTables& tables, int num_known) {
  if (!enabled_ || position < kBlockSize) return;
  GOSSAMER_CHECK(position % kBlockSize == 0);
  const auto end = static_cast<std::size_t>(position / kBlockSize);
  const BlockId last = tables.full()[end - 1];
  GOSSAMER_CHECK(node(last).known);
  if (node(last).snapshot) {
    snapshots_.splice(snapshots_.end(), snapshots_, *node(last).snapshot);
    return remember_ahead(end, tables, static_cast<std::size_t>(num_known));
  }
  const auto begin = static_cast<std::size_t>(first_block_seen(position, sliding_window_));
  const auto window = tables.sliding().subspan(begin, end - begin);
  if (std::find(window.begin(), window.end(), kNoBlock) != window.end()) return;
  for (const BlockId block : window) sliding_->keep(block);
  snapshots_.push_back({last, {window.begin(), window.end()}});
  node(last).snapshot = std::prev(snapshots_.end());
  remember_ahead(end, tables, static_cast<std::size_t>(num_known));
}

void PrefixCache::remember_ahead(
    std::size_t index, const BlockTables& tables, std::size_t num_known
) {
  const std::size_t end = std::min<std::size_t>(num_known, index + kBlocksAhead);
  for (; index < end && tables.sliding()[index] != kNoBlock; ++index) {
    const BlockId parent = tables.full()[index - 1];
    set_ahead(parent, {tables.full()[index], tables.sliding()[index]});
    if (node(parent).ahead != tables.full()[index]) return;
  }
}

void PrefixCache::set_ahead(BlockId parent, BlockPair child) {
  // One that begins alike serves as well, and what lies behind it is known.
  const BlockId known = node(parent).ahead;
  if (known != kNoBlock && node(known).key.tokens[0] == node(child.full).key.tokens[0]) return;
  drop_ahead(parent);
  sliding_->keep(child.sliding);
  node(child.full).sliding = child.sliding;
  node(parent).ahead = child.full;
}

void PrefixCache::drop_ahead(BlockId parent) {
  const BlockId child = node(parent).ahead;
  if (child == kNoBlock) return;
  drop_ahead(child);
  sliding_->forget(node(child).sliding);
  node(child).sliding = kNoBlock;
  node(parent).ahead = kNoBlock;
}

void PrefixCache::use_now(BlockId block) {
  Node& used = node(block);
  const bool is_leaf = used.num_children == 0;
  if (is_leaf) leaves_.erase({used.last_used, block});
  used.last_used = ++clock_;
  if (is_leaf) leaves_.emplace(clock_, block);
}

void PrefixCache::touch(std::span<const BlockId> full, int num_blocks) {
  if (!enabled_) return;
  BlockId deepest = kNoBlock;
  for (const BlockId block : full.first(static_cast<std::size_t>(num_blocks))) {
    use_now(block);
    if (node(block).snapshot) deepest = block;
  }
  if (deepest == kNoBlock) return;
  snapshots_.splice(snapshots_.end(), snapshots_, *node(deepest).snapshot);
}

PrefixCache::Leaves::iterator PrefixCache::evict(Leaves::iterator leaf) {
  const BlockId block = leaf->second;
  auto next = leaves_.erase(leaf);
  Node& evicted = node(block);
  if (evicted.snapshot) evict(*evicted.snapshot);
  const BlockId parent = evicted.key.parent;
  if (evicted.sliding != kNoBlock) drop_ahead(parent);
  known_.erase(evicted.key);
  evicted = {};
  full_->forget(block);
  if (parent == kNoBlock || --node(parent).num_children > 0) return next;
  const auto added = leaves_.emplace(node(parent).last_used, parent).first;
  return next == leaves_.end() || *added < *next ? added : next;
}

void PrefixCache::evict(Snapshots::iterator snapshot) {
  drop_ahead(snapshot->node);
  for (const BlockId block : snapshot->sliding) sliding_->forget(block);
  node(snapshot->node).snapshot.reset();
  snapshots_.erase(snapshot);
}

bool PrefixCache::has_idle_block(const Snapshot& snapshot) const {
  for (BlockId next = node(snapshot.node).ahead; next != kNoBlock; next = node(next).ahead) {
    if (!sliding_->in_use(node(next).sliding)) return true;
  }
  return std::any_of(snapshot.sliding.begin(), snapshot.sliding.end(), [this](BlockId block) {
    return !sliding_->in_use(block);
  });
}

void PrefixCache::make_sliding_room(int sliding_blocks) {
  // A snapshot whose blocks are all used by sequences would be lost for nothing.
  for (auto it = snapshots_.begin();
       sliding_->num_empty() < sliding_blocks && it != snapshots_.end();) {
    const auto current = it++;
    if (has_idle_block(*current)) evict(current);
  }
  GOSSAMER_CHECK(sliding_->num_empty() >= sliding_blocks);
}

void PrefixCache::make_room(int full_blocks, int sliding_blocks) {
  // Sequences use whole chains, so below an idle block all are idle: leaves lead to every one.
  for (auto leaf = leaves_.begin(); full_->num_empty() < full_blocks && leaf != leaves_.end();) {
    leaf = full_->in_use(leaf->second) ? std::next(leaf) : evict(leaf);
  }
  GOSSAMER_CHECK(full_->num_empty() >= full_blocks);
  make_sliding_room(sliding_blocks);
}

}  // namespace gossamer::engine
