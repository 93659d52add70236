#include "tokenizer/byte_pair_merge.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <span>

namespace gossamer::tokenizer {
namespace {

constexpr TokenId kNone = TokenTable::kNone;

// Up to this many bytes, finding the lowest pair by a scan of them all beats a heap.
constexpr std::size_t kMaxScannedBytes = 64;

TokenId below(TokenId limit, TokenId id) {
  return id < limit ? id : kNone;
}

/// A part of a piece during the merging: where it begins, and the token that it would make together
/// with its right neighbour, which is also the rank of that merge.
struct Part {
  std::uint32_t begin;
  TokenId merged;
};

/// The scanned way: parts are an array from which merged ones are removed.
class ScannedMerge {
 public:
  ScannedMerge(const TokenTable& table, std::string_view piece, TokenId limit)
      : table_(table), piece_(piece), limit_(limit), num_parts_(piece.size()) {
    const auto size = static_cast<std::uint32_t>(piece.size());
    for (std::uint32_t i = 0; i + 1 < size; ++i) {
      parts_[i] = {i, below(limit, table.find_pair(piece[i], piece[i + 1]))};
    }
    parts_[size - 1] = {size - 1, kNone};
    parts_[size] = {size, kNone};
  }

  void run() {
    for (;;) {
      std::size_t lowest = 0;
      for (std::size_t i = 1; i < num_parts_; ++i) {
        if (parts_[i].merged < parts_[lowest].merged) lowest = i;
      }
      if (parts_[lowest].merged == kNone) return;
      std::copy(
          parts_.begin() + lowest + 2, parts_.begin() + num_parts_ + 1, parts_.begin() + lowest + 1
      );
      --num_parts_;
      parts_[lowest].merged = find_merged(lowest);
      if (lowest > 0) parts_[lowest - 1].merged = find_merged(lowest - 1);
    }
  }

  template <class F>
  void for_each_part(F f) const {
    for (std::size_t i = 0; i < num_parts_; ++i) {
      f(piece_.substr(parts_[i].begin, parts_[i + 1].begin - parts_[i].begin));
    }
  }

 private:
  TokenId find_merged(std::size_t i) const {
    if (i + 1 >= num_parts_) return kNone;
    const std::uint32_t begin = parts_[i].begin;
    return below(limit_, table_.find(piece_.substr(begin, parts_[i + 2].begin - begin)));
  }

  const TokenTable& table_;
  std::string_view piece_;
  TokenId limit_;
  std::size_t num_parts_;
  std::array<Part, kMaxScannedBytes + 1> parts_;  // [num_parts_ + 1], the last one marks the end
};

/// The heap way: parts are a linked list, indexed by the byte where they begin. A heap entry that
/// no longer says what its part says is stale and skipped.
class HeapMerge {
 public:
  HeapMerge(const TokenTable& table, std::string_view piece, TokenId limit)
      : table_(table), piece_(piece), limit_(limit) {
    const auto size = static_cast<std::uint32_t>(piece.size());
    links_.resize(size + 1);
    std::vector<std::uint64_t> entries;
    for (std::uint32_t i = 0; i < size; ++i) {
      links_[i] = {i - 1, i + 1, kNone};
      if (i + 1 < size) links_[i].merged = below(limit, table.find_pair(piece[i], piece[i + 1]));
      if (links_[i].merged != kNone) entries.push_back(entry(links_[i].merged, i));
    }
    heap_ = Heap(std::greater<>(), std::move(entries));
  }

  void run() {
    while (!heap_.empty()) {
      const std::uint64_t top = heap_.top();
      heap_.pop();
      const auto begin = static_cast<std::uint32_t>(top);
      if (links_[begin].merged != top >> 32) continue;
      merge(begin);
    }
  }

  template <class F>
  void for_each_part(F f) const {
    for (std::uint32_t begin = 0; begin < piece_.size(); begin = links_[begin].next) {
      f(piece_.substr(begin, links_[begin].next - begin));
    }
  }

 private:
  struct Link {
    std::uint32_t previous;
    std::uint32_t next;
    TokenId merged;
  };
  using Heap = std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>>;

  // Orders by rank, then from left to right.
  static std::uint64_t entry(TokenId merged, std::uint32_t begin) {
    return static_cast<std::uint64_t>(merged) << 32 | begin;
  }

  void merge(std::uint32_t begin) {
    const std::uint32_t absorbed = links_[begin].next;
    const std::uint32_t next = links_[absorbed].next;
    links_[begin].next = next;
    links_[next].previous = begin;
    links_[absorbed].merged = kNone;
    update(begin);
    if (begin > 0) update(links_[begin].previous);
  }

  void update(std::uint32_t begin) {
    const std::uint32_t next = links_[begin].next;
    TokenId merged = kNone;
    if (next < piece_.size()) {
      merged = below(limit_, table_.find(piece_.substr(begin, links_[next].next - begin)));
    }
    links_[begin].merged = merged;
    if (merged != kNone) heap_.push(entry(merged, begin));
  }

  const TokenTable& table_;
  std::string_view piece_;
  TokenId limit_;
  std::vector<Link> links_;  // [size + 1], the last one marks the end
  Heap heap_;
};

/// Calls f with each part that is left of a piece, from left to right.
template <class F>
void merge_parts(const TokenTable& table, std::string_view piece, TokenId limit, F f) {
  if (piece.size() <= kMaxScannedBytes) {
    ScannedMerge merge(table, piece, limit);
    merge.run();
    merge.for_each_part(f);
  } else {
    HeapMerge merge(table, piece, limit);
    merge.run();
    merge.for_each_part(f);
  }
}

}  // namespace

void append_piece_tokens(
    const TokenTable& table, std::string_view piece, std::vector<TokenId>& tokens
) {
  const TokenId whole = table.find(piece);
  if (whole != kNone) {
    tokens.push_back(whole);
    return;
  }
  merge_parts(table, piece, kNone, [&](std::string_view part) {
    tokens.push_back(table.find(part));
  });
}

std::vector<std::string_view> merge_below(
    const TokenTable& table, std::string_view bytes, TokenId limit
) {
  std::vector<std::string_view> parts;
  merge_parts(table, bytes, limit, [&](std::string_view part) { parts.push_back(part); });
  return parts;
}

}  // namespace gossamer::tokenizer
