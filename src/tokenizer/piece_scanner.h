#pragma once

#include <cstddef>
#include <string_view>

namespace gossamer::tokenizer {

/// Cuts text into the pieces of the o200k split pattern, which are then byte-pair encoded one by
/// one. The pattern, an ordered choice with greedy backtracking:
///
///   1  [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(contraction)?
///   2  [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(contraction)?
///   3  \p{N}{1,max_digits}
///   4   ?[^\s\p{L}\p{N}]+[\r\n/]*
///   5  \s*[\r\n]+
///   6  \s+(?!\S)
///   7  \s+
///
/// where contraction is (?i:'s|'t|'re|'ve|'m|'ll|'d). Every character belongs to one piece. The
/// time is linear in the text.
class PieceScanner {
 public:
  /// text must be valid UTF-8 and outlive the scanner. max_digits: 3 for o200k.
  PieceScanner(std::string_view text, int max_digits) : text_(text), max_digits_(max_digits) {}

  /// The next piece, a view into text; empty at the end.
  std::string_view next();

 private:
  std::size_t piece_end() const;
  std::size_t piece_end_after_mark(std::size_t after) const;
  std::size_t word_end(std::size_t start) const;
  std::size_t contraction_end(std::size_t end) const;
  std::size_t number_end(std::size_t start) const;
  std::size_t punctuation_end(std::size_t start) const;
  std::size_t whitespace_end(std::size_t start) const;

  std::string_view text_;
  int max_digits_;
  std::size_t position_ = 0;
};

}  // namespace gossamer::tokenizer
