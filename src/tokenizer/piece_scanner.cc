#include "tokenizer/piece_scanner.h"

#include <cstdint>

#include "tokenizer/character_class.h"
#include "tokenizer/utf8.h"

namespace gossamer::tokenizer {
namespace {

using enum CharacterClass;

/// A class and where the character ends. `end` of the text itself is marked by `at_end`.
struct Character {
  CharacterClass cls;
  bool at_end;
  std::size_t end;
};

inline Character character_at(std::string_view text, std::size_t position) {
  if (position == text.size()) return {kOther, true, position};
  const CodePoint code_point = decode_valid_utf8(text.data() + position);
  return {character_class(code_point.value), false, position + code_point.length};
}

constexpr unsigned mask(CharacterClass c) {
  return 1U << static_cast<unsigned>(c);
}

constexpr unsigned kUpperPart = mask(kUpper) | mask(kCaseless) | mask(kMark);
constexpr unsigned kLowerPart = mask(kLower) | mask(kCaseless) | mask(kMark);
constexpr unsigned kWordStart = kUpperPart | kLowerPart;
constexpr unsigned kPunctuation = mask(kOther) | mask(kMark);
constexpr unsigned kWhitespace = mask(kSpace) | mask(kNewline);

inline bool is_in(const Character& character, unsigned classes) {
  return !character.at_end && (mask(character.cls) & classes) != 0;
}

inline std::size_t run_end(std::string_view text, std::size_t position, unsigned classes) {
  for (;;) {
    const Character character = character_at(text, position);
    if (!is_in(character, classes)) return position;
    position = character.end;
  }
}

/// Where [upper]*[lower]+ and [upper]+[lower]* end, the cores of alternatives 1 and 2.
struct WordEnds {
  std::size_t lower;  ///< of alternative 1; the start when it does not match
  std::size_t upper;  ///< of alternative 2, right where alternative 1 does not match
};

WordEnds find_word_ends(std::string_view text, std::size_t start) {
  // The greedy [upper]* takes this whole run. If a kLower follows, [lower]+ goes on from there;
  // otherwise [upper]* gives back characters until [lower]+ can take one: the run's last caseless
  // letter or mark, which ends the match, because only uppercase follows it.
  std::size_t position = start;
  std::size_t last_caseless_end = start;
  for (;;) {
    const Character character = character_at(text, position);
    if (!is_in(character, kUpperPart)) {
      if (is_in(character, mask(kLower))) {
        return {run_end(text, character.end, kLowerPart), position};
      }
      return {last_caseless_end, position};
    }
    position = character.end;
    if (character.cls != kUpper) last_caseless_end = position;
  }
}

}  // namespace

std::string_view PieceScanner::next() {
  if (position_ == text_.size()) return {};
  const std::size_t start = position_;
  position_ = piece_end();
  return text_.substr(start, position_ - start);
}

std::size_t PieceScanner::piece_end() const {
  const std::size_t start = position_;
  const Character first = character_at(text_, start);
  switch (first.cls) {
    case kUpper:
    case kLower:
    case kCaseless:
      return contraction_end(word_end(start));
    case kMark:
      return contraction_end(piece_end_after_mark(first.end));
    case kNumber:
      return number_end(start);
    case kNewline:
      return whitespace_end(start);
    case kSpace:
    case kOther:
      break;
  }
  // A character before a word joins it; a space before punctuation joins that.
  const Character second = character_at(text_, first.end);
  if (is_in(second, kWordStart)) return contraction_end(word_end(first.end));
  if (first.cls == kOther) return punctuation_end(start);
  if (text_[start] == ' ' && is_in(second, kPunctuation)) return punctuation_end(first.end);
  return whitespace_end(start);
}

/// A mark is both: the optional character before a word, and a part of one. It is the former when
/// alternative 1 matches after it; else alternative 1 matches the mark alone, before alternative 2
/// is tried.
std::size_t PieceScanner::piece_end_after_mark(std::size_t after) const {
  return find_word_ends(text_, after).lower;
}

/// Alternative 1, else 2, from a letter or mark.
std::size_t PieceScanner::word_end(std::size_t start) const {
  const WordEnds ends = find_word_ends(text_, start);
  return ends.lower != start ? ends.lower : ends.upper;
}

std::size_t PieceScanner::contraction_end(std::size_t end) const {
  const std::string_view rest = text_.substr(end, 3);
  if (rest.size() < 2 || rest[0] != '\'') return end;
  const auto lower = [](char c) { return static_cast<char>(c | 0x20); };
  const char first = lower(rest[1]);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return end + 2;
  if (rest.size() < 3) return end;
  const char second = lower(rest[2]);
  if ((first == 'r' || first == 'v') && second == 'e') return end + 3;
  if (first == 'l' && second == 'l') return end + 3;
  // Case folding takes U+017F, the long s, for an s.
  return rest.substr(1) == "\xC5\xBF" ? end + 3 : end;
}

std::size_t PieceScanner::number_end(std::size_t start) const {
  std::size_t position = start;
  for (int digits = 0; digits < max_digits_; ++digits) {
    const Character character = character_at(text_, position);
    if (!is_in(character, mask(kNumber))) break;
    position = character.end;
  }
  return position;
}

std::size_t PieceScanner::punctuation_end(std::size_t start) const {
  std::size_t position = run_end(text_, start, kPunctuation);
  while (position < text_.size() &&
         (text_[position] == '\r' || text_[position] == '\n' || text_[position] == '/')) {
    ++position;
  }
  return position;
}

/// Alternatives 5, 6 and 7: up to the last newline of the whitespace run; without one the whole
/// run, less its last character when text follows, which joins that text.
std::size_t PieceScanner::whitespace_end(std::size_t start) const {
  std::size_t position = start;
  std::size_t last_start = start;
  std::size_t last_newline_end = start;
  for (;;) {
    const Character character = character_at(text_, position);
    if (!is_in(character, kWhitespace)) {
      if (last_newline_end != start) return last_newline_end;
      return character.at_end || last_start == start ? position : last_start;
    }
    last_start = position;
    position = character.end;
    if (character.cls == kNewline) last_newline_end = position;
  }
}

}  // namespace gossamer::tokenizer
