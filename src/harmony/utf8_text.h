#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace gossamer::harmony {

/// Collects the bytes of tokens into text, a whole character at a time. The bytes of a character
/// that is not complete yet wait for the next token. Allocates only to grow `text`.
class Utf8Text {
 public:
  /// Appends to `text` what the bytes complete. Ill-formed sequences become U+FFFD.
  void append(std::string_view bytes, std::string& text);

  /// As append, but handles at most one ill-formed sequence a call, and leaves the bytes after it
  /// for the next call, as the reference does.
  void append_like_reference(std::string_view bytes, std::string& text);

  /// Appends what waits, its ill-formed and cut sequences as U+FFFD, and forgets it.
  void finish(std::string& text);

  /// How many ill-formed sequences were replaced since construction.
  std::size_t num_replaced() const { return num_replaced_; }

 private:
  std::string pending_;
  std::size_t num_replaced_ = 0;
};

}  // namespace gossamer::harmony
