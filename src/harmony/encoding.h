#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/token_id.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::harmony {

/// The special tokens that give a message its structure.
enum class Marker { kStart, kMessage, kChannel, kConstrain, kEnd, kCall, kReturn };

inline constexpr std::size_t kNumMarkers = 7;

/// The text of a marker, e.g. "<|start|>".
std::string_view marker_text(Marker marker);

/// True for the markers that end a message: kEnd, kCall and kReturn.
constexpr bool is_stop(Marker marker) {
  return marker >= Marker::kEnd;
}

/// A vocabulary, and where in it the markers are. Immutable; copies share the vocabulary; any
/// thread may use it.
class Encoding {
 public:
  /// Error when the vocabulary lacks a marker: the model does not speak Harmony.
  static Result<Encoding> create(tokenizer::Tokenizer tokenizer);

  const tokenizer::Tokenizer& tokenizer() const { return tokenizer_; }

  TokenId id(Marker marker) const { return ids_[static_cast<std::size_t>(marker)]; }

  /// The marker that a token is, if any.
  std::optional<Marker> marker_of(TokenId token) const {
    if (token < lowest_special_) return std::nullopt;
    return find_marker(token);
  }

  /// True for markers and the other special tokens: end of text, reserved ids.
  bool is_special(TokenId token) const {
    return token >= lowest_special_ && tokenizer_.is_special(token);
  }

  /// True for "<|endoftext|>", which ends a stream without being part of the format.
  bool is_end_of_text(TokenId token) const { return end_of_text_ == token; }

  /// Which tokens are text: bit i % 64 of element i / 64 is 1 for a known token that is not
  /// special. Lives as long as a copy of this encoding does.
  std::span<const std::uint64_t> text_tokens() const { return *text_tokens_; }

  /// What generation of an assistant turn stops at: `<|return|>`, `<|call|>`, and the end of text.
  std::vector<TokenId> turn_end_tokens() const;

 private:
  explicit Encoding(tokenizer::Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}

  std::optional<Marker> find_marker(TokenId token) const;
  void find_text_tokens();

  tokenizer::Tokenizer tokenizer_;
  std::array<TokenId, kNumMarkers> ids_{};
  std::optional<TokenId> end_of_text_;
  TokenId lowest_special_ = 0;  // no special token that matters here is below it
  std::shared_ptr<const std::vector<std::uint64_t>> text_tokens_;
};

}  // namespace gossamer::harmony
