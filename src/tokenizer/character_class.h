#pragma once

#include <array>
#include <cstdint>

namespace gossamer::tokenizer {

/// What the o200k split pattern distinguishes about a code point; the classes are disjoint. In the
/// pattern's terms, with the general categories of Unicode 16.0:
///
///   \p{L} = kUpper | kLower | kCaseless          \s = kSpace | kNewline          \p{N} = kNumber
///   [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] = kUpper | kCaseless | kMark
///   [\p{Ll}\p{Lm}\p{Lo}\p{M}]       = kLower | kCaseless | kMark
///
/// Why Unicode 16.0: probing every code point of every plane with npm tiktoken 1.0.22 (the
/// WebAssembly build of the reference, regex-syntax 0.8.5) gave exactly its categories; 15.0, 15.1
/// and 17.0 differ in thousands of code points.
enum class CharacterClass : std::uint8_t {
  kOther,     ///< punctuation, symbols, controls, unassigned
  kUpper,     ///< Lu, Lt
  kLower,     ///< Ll
  kCaseless,  ///< Lm, Lo: letters that may stand in the upper and in the lower part of a word
  kMark,      ///< Mn, Mc, Me: as kCaseless, but not \p{L}
  kNumber,    ///< Nd, Nl, No
  kSpace,     ///< White_Space except \r and \n
  kNewline,   ///< \r and \n
};

/// The classes of the Basic Multilingual Plane, by code point.
extern const std::array<CharacterClass, 0x10000> kBmpCharacterClasses;

/// The class of a code point beyond it, in 0x10000 .. 0x10FFFF.
CharacterClass astral_character_class(char32_t code_point);

/// The class of any code point up to 0x10FFFF.
inline CharacterClass character_class(char32_t code_point) {
  return code_point < kBmpCharacterClasses.size() ? kBmpCharacterClasses[code_point]
                                                  : astral_character_class(code_point);
}

}  // namespace gossamer::tokenizer
