#include "tokenizer/utf8.h"

#include <cstring>

namespace gossamer::tokenizer {
namespace {

/// What a lead byte promises: the sequence's length (0: never a lead byte) and the range of the
/// second byte, which excludes overlong forms, surrogates and code points past U+10FFFF.
struct Lead {
  std::uint8_t length;
  std::uint8_t second_min;
  std::uint8_t second_max;
};

Lead classify_lead(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

/// Bytes of plain ASCII from the start, counted eight at a time.
std::size_t ascii_prefix(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::size_t size = 0;
  for (; size + sizeof(std::uint64_t) <= text.size(); size += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + size, sizeof(word));
    if ((word & kHighBits) != 0) break;
  }
  return size;
}

}  // namespace

Utf8Sequence first_utf8_sequence(std::string_view text) {
  using Kind = Utf8Sequence::Kind;
  const Lead lead = classify_lead(static_cast<unsigned char>(text[0]));
  if (lead.length == 0) return {Kind::kIllFormed, 1};
  for (std::uint8_t i = 1; i < lead.length; ++i) {
    if (i == text.size()) return {Kind::kIncomplete, i};
    const auto byte = static_cast<unsigned char>(text[i]);
    const unsigned char min = i == 1 ? lead.second_min : 0x80;
    const unsigned char max = i == 1 ? lead.second_max : 0xBF;
    if (byte < min || byte > max) return {Kind::kIllFormed, i};
  }
  return {Kind::kValid, lead.length};
}

std::size_t valid_utf8_prefix(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size()) {
    if (static_cast<unsigned char>(text[size]) < 0x80) {
      size += ascii_prefix(text.substr(size));
      if (size == text.size()) break;
    }
    const Utf8Sequence sequence = first_utf8_sequence(text.substr(size));
    if (sequence.kind != Utf8Sequence::Kind::kValid) break;
    size += sequence.length;
  }
  return size;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  for (;;) {
    const std::size_t valid = valid_utf8_prefix(text);
    repaired += text.substr(0, valid);
    text.remove_prefix(valid);
    if (text.empty()) return repaired;
    repaired += kReplacementCharacter;
    text.remove_prefix(first_utf8_sequence(text).length);
  }
}

}  // namespace gossamer::tokenizer
