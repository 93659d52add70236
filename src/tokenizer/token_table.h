#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/token_id.h"

namespace gossamer::tokenizer {

/// The text tokens of a vocabulary, both ways: bytes <-> id. Built once by add(), then read by any
/// thread.
class TokenTable {
 public:
  /// find()'s answer for bytes that are no token; larger than any id.
  static constexpr TokenId kNone = 0xFFFFFFFF;

  /// Room for this many tokens of together this many bytes; more is a bug.
  TokenTable(std::size_t num_tokens, std::size_t num_bytes);

  /// Adds a token of at least one byte. Ids must ascend; those left out stay empty. Returns the id
  /// that already has these bytes, and changes nothing then; else kNone.
  TokenId add(TokenId id, std::string_view bytes);

  /// The id of a token by its bytes, or kNone.
  TokenId find(std::string_view bytes) const;

  /// The id of the token of these two bytes, or kNone.
  TokenId find_pair(char first, char second) const {
    return pairs_
        [static_cast<std::size_t>(static_cast<unsigned char>(first)) << 8 |
         static_cast<unsigned char>(second)];
  }

  /// The bytes of a token; empty for an id without one.
  std::string_view bytes_of(TokenId id) const;

  /// One past the highest id.
  std::size_t size() const { return begins_.size() - 1; }

  /// The length of the longest token.
  std::size_t longest() const { return longest_; }

 private:
  // A token of up to kMaxExactBytes is its own key; a longer one has a hash as key, whose top bit
  // tells it apart, and is compared by its bytes.
  struct Slot {
    std::uint64_t key = 0;
    TokenId id = kNone;
  };

  std::size_t find_slot(std::uint64_t key, std::uint64_t hash, std::string_view bytes) const;

  std::string bytes_;
  std::vector<std::uint32_t> begins_;  // [size + 1], into bytes_
  std::vector<Slot> slots_;            // a power of two, at most half full
  // [slots]: 0 for a free slot, else some bits of its hash. Merging asks mostly for what is no
  // token; these few bytes, which a core's own cache holds, answer that without touching slots_.
  std::vector<std::uint8_t> tags_;
  std::vector<TokenId> pairs_;  // [65536], by the two bytes
  int shift_;                   // 64 - log2 of the number of slots
  std::size_t longest_ = 0;
};

}  // namespace gossamer::tokenizer
