#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/token_id.h"
#include "tokenizer/token_table.h"

namespace gossamer::tokenizer {

/// A token that stands for no text: a mark of the prompt format, written like <|start|>.
struct SpecialToken {
  TokenId id;
  std::string text;
  /// True for an id that decodes, and that no text ever becomes.
  bool decode_only = false;
};

/// All that a Tokenizer knows: text tokens, specials, and how digits are cut. Immutable after
/// construction.
class Vocabulary {
 public:
  /// A text token of a file being read; the bytes are borrowed until make() returns.
  struct TextToken {
    TokenId id;
    std::string_view bytes;
  };

  /// What a vocabulary is made of; max_digits is the k of \p{N}{1,k} in the split pattern.
  struct Parts {
    std::string name;
    std::vector<TextToken> tokens;
    std::vector<SpecialToken> specials;
    int max_digits = 3;
  };

  /// Checks and indexes the parts. Errors: an id or bytes given twice, a text id missing that no
  /// special token has, a single byte that is no token, an empty token, an id past kMaxTokens.
  static Result<Vocabulary> make(Parts parts);

  /// A limit on ids, so that a corrupt file cannot ask for all memory.
  static constexpr TokenId kMaxTokens = 1U << 22;

  const std::string& name() const { return name_; }
  const TokenTable& tokens() const { return tokens_; }
  int max_digits() const { return max_digits_; }

  /// One past the highest id that text can become.
  std::size_t size() const { return size_; }

  /// All special tokens, by ascending id.
  const std::vector<SpecialToken>& specials() const { return specials_; }

  /// The special token of an id, or nullptr.
  const SpecialToken* special(TokenId id) const;

  /// The special token of a text, or nullptr; not the decode-only ones.
  const SpecialToken* special(std::string_view text) const;

  /// The bytes of any token, a special's being its text; empty for an unknown id.
  std::string_view bytes_of(TokenId id) const;

 private:
  explicit Vocabulary(TokenTable tokens) : tokens_(std::move(tokens)) {}
  Status add_tokens(const std::vector<TextToken>& tokens);
  Status add_specials(std::vector<SpecialToken> specials);
  Status check_complete() const;

  std::string name_;
  int max_digits_ = 3;
  std::size_t size_ = 0;
  TokenTable tokens_;
  std::vector<SpecialToken> specials_;                          // by ascending id
  std::unordered_map<std::string, std::size_t> special_texts_;  // into specials_
};

}  // namespace gossamer::tokenizer
