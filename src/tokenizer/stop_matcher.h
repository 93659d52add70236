#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gossamer::tokenizer {

/// Finds stop strings in streamed text, also across token boundaries. Text that may be the
/// beginning of a stop string is held back until it is decided. The stop string that ends first
/// wins; of those that end together, the longest. How the text is cut into pushes changes nothing.
/// Linear in the text (times the number of stop strings). One thread at a time.
class StopMatcher {
 public:
  /// Empty stop strings are ignored.
  explicit StopMatcher(std::vector<std::string> stops);

  /// The text now safe to show. After a match: the text before the stop string, and nothing more
  /// from then on.
  std::string push(std::string_view text);

  /// The text held back, at the end of a stream that did not match.
  std::string finish();

  /// True once a stop string was seen.
  bool stopped() const { return stopped_; }

 private:
  /// One stop string, searched for with the method of Knuth, Morris and Pratt.
  struct Stop {
    std::string text;
    std::vector<std::size_t> fallback;  // [i]: the longest border of the first i bytes
    std::size_t matched = 0;            // bytes of `text` that the stream now ends with

    void advance(char byte);
  };

  std::vector<Stop> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace gossamer::tokenizer
