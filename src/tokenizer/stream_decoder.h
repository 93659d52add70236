#pragma once

#include <string>
#include <string_view>

#include "base/token_id.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::tokenizer {

/// Turns tokens into text as they come, and never emits half a UTF-8 sequence. One thread at a
/// time.
class StreamDecoder {
 public:
  /// The tokenizer must outlive the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  /// The text that this token completes; may be empty. Definitely invalid bytes become U+FFFD.
  std::string push(TokenId token);

  /// What is pending at the end of the stream: U+FFFD when a sequence was cut, else empty.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  std::string pending_;
};

}  // namespace gossamer::tokenizer
