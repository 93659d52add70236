#include "tokenizer/vocabulary.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace gossamer::tokenizer {
namespace {

bool id_less(const SpecialToken& token, TokenId id) {
  return token.id < id;
}

TokenTable make_table(const std::vector<Vocabulary::TextToken>& tokens) {
  std::size_t num_bytes = 0;
  for (const auto& token : tokens) num_bytes += token.bytes.size();
  return {tokens.size(), num_bytes};
}

}  // namespace

Result<Vocabulary> Vocabulary::make(Parts parts) {
  Vocabulary vocabulary(make_table(parts.tokens));
  vocabulary.name_ = std::move(parts.name);
  vocabulary.max_digits_ = parts.max_digits;
  const auto by_id = [](const auto& a, const auto& b) { return a.id < b.id; };
  if (!std::is_sorted(parts.tokens.begin(), parts.tokens.end(), by_id)) {
    std::stable_sort(parts.tokens.begin(), parts.tokens.end(), by_id);
  }
  GOSSAMER_RETURN_IF_ERROR(vocabulary.add_tokens(parts.tokens));
  std::stable_sort(parts.specials.begin(), parts.specials.end(), by_id);
  GOSSAMER_RETURN_IF_ERROR(vocabulary.add_specials(std::move(parts.specials)));
  GOSSAMER_RETURN_IF_ERROR(vocabulary.check_complete());
  return vocabulary;
}

Status Vocabulary::add_tokens(const std::vector<TextToken>& tokens) {
  for (const TextToken& token : tokens) {
    if (token.id >= kMaxTokens) {
      return make_error(
          ErrorCode::kCorruptData, "{}: token id {} is over {}", name_, token.id, kMaxTokens - 1
      );
    }
    if (token.bytes.empty()) {
      return make_error(ErrorCode::kCorruptData, "{}: token {} is empty", name_, token.id);
    }
    if (token.id < tokens_.size()) {
      return make_error(ErrorCode::kCorruptData, "{}: two tokens have the id {}", name_, token.id);
    }
    const TokenId twin = tokens_.add(token.id, token.bytes);
    if (twin != TokenTable::kNone) {
      return make_error(
          ErrorCode::kCorruptData, "{}: tokens {} and {} are the same bytes", name_, twin, token.id
      );
    }
  }
  size_ = tokens_.size();
  return {};
}

Status Vocabulary::add_specials(std::vector<SpecialToken> specials) {
  for (SpecialToken& token : specials) {
    if (token.id >= kMaxTokens) {
      return make_error(
          ErrorCode::kCorruptData, "{}: token id {} is over {}", name_, token.id, kMaxTokens - 1
      );
    }
    if (token.text.empty()) {
      return make_error(ErrorCode::kCorruptData, "{}: special token {} is empty", name_, token.id);
    }
    if (!bytes_of(token.id).empty()) {
      return make_error(ErrorCode::kCorruptData, "{}: two tokens have the id {}", name_, token.id);
    }
    if (!token.decode_only) {
      if (!special_texts_.emplace(token.text, specials_.size()).second) {
        return make_error(
            ErrorCode::kCorruptData, "{}: two special tokens are \"{}\"", name_, token.text
        );
      }
      size_ = std::max<std::size_t>(size_, token.id + 1);
    }
    specials_.push_back(std::move(token));
  }
  return {};
}

Status Vocabulary::check_complete() const {
  for (TokenId id = 0; id < tokens_.size(); ++id) {
    if (bytes_of(id).empty()) {
      return make_error(ErrorCode::kCorruptData, "{}: no token has the id {}", name_, id);
    }
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto text = static_cast<char>(byte);
    if (tokens_.find({&text, 1}) == TokenTable::kNone) {
      return make_error(
          ErrorCode::kCorruptData, "{}: the single byte 0x{:02X} is no token", name_, byte
      );
    }
  }
  return {};
}

const SpecialToken* Vocabulary::special(TokenId id) const {
  const auto found = std::lower_bound(specials_.begin(), specials_.end(), id, id_less);
  return found != specials_.end() && found->id == id ? &*found : nullptr;
}

const SpecialToken* Vocabulary::special(std::string_view text) const {
  const auto found = special_texts_.find(std::string(text));
  return found != special_texts_.end() ? &specials_[found->second] : nullptr;
}

std::string_view Vocabulary::bytes_of(TokenId id) const {
  const std::string_view bytes = tokens_.bytes_of(id);
  if (!bytes.empty()) return bytes;
  const SpecialToken* token = special(id);
  return token != nullptr ? std::string_view(token->text) : std::string_view();
}

}  // namespace gossamer::tokenizer
