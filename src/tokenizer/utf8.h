#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gossamer::tokenizer {

/// U+FFFD, which stands for bytes that are not UTF-8.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// What the bytes at one place of a text are, by the WHATWG Encoding Standard's UTF-8 decoder.
struct Utf8Sequence {
  enum class Kind : std::uint8_t {
    kValid,       ///< a whole sequence
    kIllFormed,   ///< a maximal ill-formed part: no continuation makes it valid; one U+FFFD
    kIncomplete,  ///< the text ends inside a sequence that could still become valid
  };
  Kind kind;
  std::uint8_t length;  ///< bytes, 1 .. 4
};

/// The sequence that starts at text[0]; text must not be empty.
Utf8Sequence first_utf8_sequence(std::string_view text);

/// Bytes from the start of text that are whole valid sequences.
std::size_t valid_utf8_prefix(std::string_view text);

/// text with each maximal ill-formed part, and a sequence cut by the end, replaced by one U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

/// The code point of a whole valid sequence, and its length in bytes.
struct CodePoint {
  char32_t value;
  std::uint32_t length;
};

/// Decodes without checks: text must start with a whole valid sequence.
inline CodePoint decode_valid_utf8(const char* text) {
  const auto byte = [&](int i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[i]));
  };
  const auto tail = [&](int i) { return byte(i) & 0x3F; };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | tail(1), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | tail(1) << 6 | tail(2), 3};
  return {(lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4};
}

}  // namespace gossamer::tokenizer
