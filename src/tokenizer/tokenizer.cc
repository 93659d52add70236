#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "tokenizer/byte_pair_merge.h"
#include "tokenizer/o200k_base.h"
#include "tokenizer/piece_scanner.h"
#include "tokenizer/tiktoken_file.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/utf8.h"
#include "tokenizer/vocabulary.h"

namespace gossamer::tokenizer {
namespace {

void append_ordinary(
    const Vocabulary& vocabulary, std::string_view text, std::vector<TokenId>& tokens
) {
  std::string repaired;
  if (valid_utf8_prefix(text) != text.size()) {
    repaired = replace_invalid_utf8(text);
    text = repaired;
  }
  PieceScanner scanner(text, vocabulary.max_digits());
  for (auto piece = scanner.next(); !piece.empty(); piece = scanner.next()) {
    append_piece_tokens(vocabulary.tokens(), piece, tokens);
  }
}

/// Finds special tokens in text: leftmost first, of those at one place the longest.
class SpecialFinder {
 public:
  explicit SpecialFinder(std::vector<const SpecialToken*> allowed) : allowed_(std::move(allowed)) {
    std::stable_sort(allowed_.begin(), allowed_.end(), [](const auto* a, const auto* b) {
      return a->text.size() > b->text.size();
    });
    for (const SpecialToken* token : allowed_) {
      by_text_.emplace(token->text, token);
      is_first_byte_[static_cast<unsigned char>(token->text[0])] = true;
      if (sizes_.empty() || sizes_.back() != token->text.size()) {
        sizes_.push_back(token->text.size());
      }
    }
  }

  struct Found {
    std::size_t position;
    const SpecialToken* token;  // nullptr: none, and position is the end of the text
  };

  Found find(std::string_view text, std::size_t from) const {
    for (std::size_t i = from; i < text.size(); ++i) {
      if (!is_first_byte_[static_cast<unsigned char>(text[i])]) continue;
      for (const std::size_t size : sizes_) {
        if (size > text.size() - i) continue;
        const auto found = by_text_.find(text.substr(i, size));
        if (found != by_text_.end()) return {i, found->second};
      }
    }
    return {text.size(), nullptr};
  }

 private:
  std::vector<const SpecialToken*> allowed_;  // longest first
  std::unordered_map<std::string_view, const SpecialToken*> by_text_;
  std::vector<std::size_t> sizes_;  // the distinct lengths, longest first
  std::array<bool, 256> is_first_byte_{};
};

std::vector<TokenId> encode_between_specials(
    const Vocabulary& vocabulary, std::string_view text, const SpecialFinder& finder
) {
  std::vector<TokenId> tokens;
  std::size_t position = 0;
  while (position < text.size()) {
    const SpecialFinder::Found found = finder.find(text, position);
    append_ordinary(vocabulary, text.substr(position, found.position - position), tokens);
    position = found.position;
    if (found.token != nullptr) {
      tokens.push_back(found.token->id);
      position += found.token->text.size();
    }
  }
  return tokens;
}

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(std::make_shared<const Vocabulary>(std::move(vocabulary))) {}

Result<Tokenizer> Tokenizer::o200k_harmony() {
  return from_tiktoken(o200k_base_file(), "o200k_harmony");
}

Result<Tokenizer> Tokenizer::from_tiktoken(std::string_view file, std::string_view name) {
  GOSSAMER_ASSIGN_OR_RETURN(Vocabulary vocabulary, read_tiktoken_file(file, name));
  return Tokenizer(std::move(vocabulary));
}

Result<Tokenizer> Tokenizer::from_json(std::string_view json, std::string_view name) {
  GOSSAMER_ASSIGN_OR_RETURN(Vocabulary vocabulary, read_tokenizer_json(json, name));
  return Tokenizer(std::move(vocabulary));
}

std::vector<TokenId> Tokenizer::encode_ordinary(std::string_view text) const {
  std::vector<TokenId> tokens;
  append_ordinary(*vocabulary_, text, tokens);
  return tokens;
}

std::vector<TokenId> Tokenizer::encode(
    std::string_view text, std::span<const std::string_view> allowed
) const {
  std::vector<const SpecialToken*> specials;
  for (const std::string_view name : allowed) {
    const SpecialToken* token = vocabulary_->special(name);
    if (token != nullptr) specials.push_back(token);
  }
  return encode_between_specials(*vocabulary_, text, SpecialFinder(std::move(specials)));
}

std::vector<TokenId> Tokenizer::encode_with_specials(std::string_view text) const {
  std::vector<const SpecialToken*> specials;
  for (const SpecialToken& token : vocabulary_->specials()) {
    if (!token.decode_only) specials.push_back(&token);
  }
  return encode_between_specials(*vocabulary_, text, SpecialFinder(std::move(specials)));
}

std::optional<std::string_view> Tokenizer::bytes_of(TokenId id) const {
  const std::string_view bytes = vocabulary_->bytes_of(id);
  if (bytes.empty()) return std::nullopt;
  return bytes;
}

Result<std::string> Tokenizer::decode_bytes(std::span<const TokenId> tokens) const {
  std::string text;
  for (const TokenId id : tokens) {
    const std::string_view bytes = vocabulary_->bytes_of(id);
    if (bytes.empty()) {
      return make_error(ErrorCode::kInvalidArgument, "Invalid token for decoding: {}", id);
    }
    text += bytes;
  }
  return text;
}

std::string Tokenizer::decode(std::span<const TokenId> tokens) const {
  std::string text;
  for (const TokenId id : tokens) text += vocabulary_->bytes_of(id);
  return valid_utf8_prefix(text) == text.size() ? text : replace_invalid_utf8(text);
}

std::optional<TokenId> Tokenizer::special(std::string_view text) const {
  const SpecialToken* token = vocabulary_->special(text);
  if (token == nullptr) return std::nullopt;
  return token->id;
}

bool Tokenizer::is_special(TokenId id) const {
  return vocabulary_->special(id) != nullptr;
}

std::size_t Tokenizer::vocab_size() const {
  return vocabulary_->size();
}

const std::string& Tokenizer::name() const {
  return vocabulary_->name();
}

}  // namespace gossamer::tokenizer
