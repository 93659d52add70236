#include "tokenizer/stream_decoder.h"

#include <utility>

#include "tokenizer/utf8.h"

namespace gossamer::tokenizer {

std::string StreamDecoder::push(TokenId token) {
  pending_ += tokenizer_->bytes_of(token).value_or(std::string_view());
  std::string_view rest = pending_;
  std::string text;
  while (!rest.empty()) {
    const std::size_t valid = valid_utf8_prefix(rest);
    text += rest.substr(0, valid);
    rest.remove_prefix(valid);
    if (rest.empty()) break;
    const Utf8Sequence sequence = first_utf8_sequence(rest);
    if (sequence.kind == Utf8Sequence::Kind::kIncomplete) break;
    text += kReplacementCharacter;
    rest.remove_prefix(sequence.length);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return text;
}

std::string StreamDecoder::finish() {
  return replace_invalid_utf8(std::exchange(pending_, {}));
}

}  // namespace gossamer::tokenizer
