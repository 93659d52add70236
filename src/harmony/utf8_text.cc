#include "harmony/utf8_text.h"

#include "tokenizer/utf8.h"

namespace gossamer::harmony {

namespace {

using tokenizer::first_utf8_sequence;
using tokenizer::kReplacementCharacter;
using tokenizer::Utf8Sequence;
using tokenizer::valid_utf8_prefix;

bool is_ascii(std::string_view bytes) {
  unsigned char bits = 0;
  for (const char c : bytes) bits |= static_cast<unsigned char>(c);
  return bits < 0x80;
}

/// Moves the valid characters at the start of `rest` to `text`. Then, if an ill-formed sequence
/// follows, replaces it and returns true.
bool take_until_ill_formed(std::string_view& rest, std::string& text) {
  const std::size_t valid = valid_utf8_prefix(rest);
  text += rest.substr(0, valid);
  rest.remove_prefix(valid);
  if (rest.empty()) return false;
  const Utf8Sequence sequence = first_utf8_sequence(rest);
  if (sequence.kind == Utf8Sequence::Kind::kIncomplete) return false;
  text += kReplacementCharacter;
  rest.remove_prefix(sequence.length);
  return true;
}

}  // namespace

void Utf8Text::append(std::string_view bytes, std::string& text) {
  if (pending_.empty() && is_ascii(bytes)) {
    text += bytes;
    return;
  }
  pending_ += bytes;
  std::string_view rest = pending_;
  while (take_until_ill_formed(rest, text)) ++num_replaced_;
  pending_.erase(0, pending_.size() - rest.size());
}

void Utf8Text::append_like_reference(std::string_view bytes, std::string& text) {
  pending_ += bytes;
  std::string_view rest = pending_;
  if (take_until_ill_formed(rest, text)) ++num_replaced_;
  pending_.erase(0, pending_.size() - rest.size());
}

void Utf8Text::finish(std::string& text) {
  append("", text);  // reference mode may have left more than one sequence
  if (pending_.empty()) return;
  text += kReplacementCharacter;
  ++num_replaced_;
  pending_.clear();
}

}  // namespace gossamer::harmony
