#include "harmony/encoding.h"

#include <algorithm>
#include <utility>

namespace gossamer::harmony {

namespace {

constexpr std::array<std::string_view, kNumMarkers> kMarkerTexts = {
    "<|start|>",
    "<|message|>",
    "<|channel|>",
    "<|constrain|>",
    "<|end|>",
    "<|call|>",
    "<|return|>"};

}  // namespace

std::string_view marker_text(Marker marker) {
  return kMarkerTexts[static_cast<std::size_t>(marker)];
}

Result<Encoding> Encoding::create(tokenizer::Tokenizer tokenizer) {
  Encoding encoding(std::move(tokenizer));
  const tokenizer::Tokenizer& vocabulary = encoding.tokenizer_;
  for (std::size_t i = 0; i < kNumMarkers; ++i) {
    const auto id = vocabulary.special(kMarkerTexts[i]);
    if (!id) {
      return make_error(
          ErrorCode::kUnsupported,
          "{}: the vocabulary has no special token {}, so the model does not speak Harmony",
          vocabulary.name(),
          kMarkerTexts[i]
      );
    }
    encoding.ids_[i] = *id;
  }
  encoding.end_of_text_ = vocabulary.special("<|endoftext|>");
  TokenId lowest = 0;
  const auto size = static_cast<TokenId>(vocabulary.vocab_size());
  while (lowest < size && !vocabulary.is_special(lowest)) ++lowest;
  encoding.lowest_special_ = lowest;
  encoding.find_text_tokens();
  return encoding;
}

void Encoding::find_text_tokens() {
  const auto size = static_cast<TokenId>(tokenizer_.vocab_size());
  std::vector<std::uint64_t> bits((size + 63) / 64, 0);
  for (TokenId token = 0; token < size; ++token) {
    if (is_special(token) || !tokenizer_.bytes_of(token)) continue;
    bits[token / 64] |= std::uint64_t{1} << token % 64;
  }
  text_tokens_ = std::make_shared<const std::vector<std::uint64_t>>(std::move(bits));
}

std::optional<Marker> Encoding::find_marker(TokenId token) const {
  const auto found = std::find(ids_.begin(), ids_.end(), token);
  if (found == ids_.end()) return std::nullopt;
  return static_cast<Marker>(found - ids_.begin());
}

std::vector<TokenId> Encoding::turn_end_tokens() const {
  std::vector<TokenId> tokens = {id(Marker::kReturn), id(Marker::kCall)};
  if (end_of_text_) tokens.push_back(*end_of_text_);
  return tokens;
}

}  // namespace gossamer::harmony
