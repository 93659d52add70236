#include "tokenizer/token_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace gossamer::tokenizer {
namespace {

constexpr std::size_t kMaxExactBytes = 7;
constexpr std::uint64_t kHashedKey = 1ULL << 63;
// 2^64 divided by the golden ratio: multiplying by it spreads keys over the high bits.
constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;

template <class Word>
std::uint64_t load(const char* from) {
  Word word = 0;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  hash = (hash ^ word) * kGolden;
  return hash ^ hash >> 32;
}

/// The up to 7 bytes themselves, and their number in the top byte.
std::uint64_t exact_key(std::string_view bytes) {
  const char* data = bytes.data();
  const std::size_t size = bytes.size();
  std::uint64_t key = 0;
  if (size >= 4) {  // two loads that overlap
    key = load<std::uint32_t>(data) | load<std::uint32_t>(data + size - 4) << 8 * (size - 4);
  } else if (size >= 2) {
    key = load<std::uint16_t>(data) | load<std::uint16_t>(data + size - 2) << 8 * (size - 2);
  } else {
    key = load<std::uint8_t>(data);
  }
  return key | static_cast<std::uint64_t>(size) << 56;
}

std::uint64_t key_of(std::string_view bytes) {
  if (bytes.size() <= kMaxExactBytes) return exact_key(bytes);
  std::uint64_t hash = bytes.size();
  std::size_t i = 0;
  for (; i + 8 < bytes.size(); i += 8) hash = mix(hash, load<std::uint64_t>(bytes.data() + i));
  hash = mix(hash, load<std::uint64_t>(bytes.data() + bytes.size() - 8));
  return hash | kHashedKey;
}

/// The bits of a hash that tags_ keeps, below those that choose the slot; never 0.
std::uint8_t tag_of(std::uint64_t hash) {
  return static_cast<std::uint8_t>(hash >> 32) | 1;
}

}  // namespace

TokenTable::TokenTable(std::size_t num_tokens, std::size_t num_bytes) : pairs_(65536, kNone) {
  const std::size_t num_slots = std::bit_ceil(std::max<std::size_t>(2 * num_tokens, 2));
  bytes_.reserve(num_bytes);
  begins_.reserve(num_tokens + 1);
  begins_.push_back(0);
  slots_.resize(num_slots);
  tags_.resize(num_slots);
  shift_ = 64 - std::countr_zero(num_slots);
}

/// The slot of a token, or the free one where it belongs.
std::size_t TokenTable::find_slot(std::uint64_t key, std::uint64_t hash, std::string_view bytes)
    const {
  const std::size_t slot_mask = slots_.size() - 1;
  const std::uint8_t tag = tag_of(hash);
  for (std::size_t i = hash >> shift_;; i = (i + 1) & slot_mask) {
    if (tags_[i] == 0) return i;
    if (tags_[i] != tag || slots_[i].key != key) continue;
    if ((key & kHashedKey) == 0 || bytes_of(slots_[i].id) == bytes) return i;
  }
}

TokenId TokenTable::add(TokenId id, std::string_view bytes) {
  GOSSAMER_CHECK(id >= size() && !bytes.empty());
  const std::uint64_t key = key_of(bytes);
  const std::uint64_t hash = key * kGolden;
  const std::size_t slot = find_slot(key, hash, bytes);
  if (tags_[slot] != 0) return slots_[slot].id;
  begins_.resize(id + 1, begins_.back());
  bytes_ += bytes;
  begins_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  slots_[slot] = {key, id};
  tags_[slot] = tag_of(hash);
  if (bytes.size() == 2) {
    pairs_
        [static_cast<std::size_t>(static_cast<unsigned char>(bytes[0])) << 8 |
         static_cast<unsigned char>(bytes[1])] = id;
  }
  longest_ = std::max(longest_, bytes.size());
  return kNone;
}

TokenId TokenTable::find(std::string_view bytes) const {
  if (bytes.empty() || bytes.size() > longest_) return kNone;
  const std::uint64_t key = key_of(bytes);
  const std::size_t slot = find_slot(key, key * kGolden, bytes);
  return tags_[slot] != 0 ? slots_[slot].id : kNone;
}

std::string_view TokenTable::bytes_of(TokenId id) const {
  if (id >= size()) return {};
  return std::string_view(bytes_).substr(begins_[id], begins_[id + 1] - begins_[id]);
}

}  // namespace gossamer::tokenizer
