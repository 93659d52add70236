#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/token_id.h"

namespace gossamer::tokenizer {

class Vocabulary;

/// Byte-pair encoding with the o200k split pattern: text <-> TokenId. Immutable after construction;
/// any thread may use it.
class Tokenizer {
 public:
  /// The vocabulary of the released models, built into the program: 199,998 text tokens and the
  /// specials 199998 .. 201087. Upstream also names 201088, one past the models' last row: here it
  /// decodes and is_special, as upstream, but special() and encode never give it.
  static Result<Tokenizer> o200k_harmony();

  /// A tiktoken vocabulary file (a line a token, `base64 rank`) with the specials of o200k_harmony.
  /// Errors name the 1-based line.
  static Result<Tokenizer> from_tiktoken(std::string_view file, std::string_view name);

  /// A Hugging Face tokenizer.json: byte-level BPE with the o200k split pattern, whose digits may
  /// be cut into any \p{N}{1,k}. Its added tokens become special tokens. `name` is used in errors,
  /// which tell malformed files (kCorruptData) from tokenizers of another kind (kUnsupported).
  static Result<Tokenizer> from_json(std::string_view json, std::string_view name);

  /// Ids of text. Never a special token: text that looks like one is split like any other text.
  /// Invalid UTF-8 is read as U+FFFD, one for each maximal ill-formed part, as browsers do.
  std::vector<TokenId> encode_ordinary(std::string_view text) const;

  /// As encode_ordinary, but occurrences of the special tokens in `allowed` (by text) become their
  /// id.
  std::vector<TokenId> encode(std::string_view text, std::span<const std::string_view> allowed)
      const;

  /// As encode, with every special token allowed. For trusted text only: tests and tools that read
  /// rendered prompts.
  std::vector<TokenId> encode_with_specials(std::string_view text) const;

  /// The bytes of a token, a special's being its text; nothing for an unknown id.
  std::optional<std::string_view> bytes_of(TokenId id) const;

  /// The concatenated bytes. Error "Invalid token for decoding: {id}" for an unknown id.
  Result<std::string> decode_bytes(std::span<const TokenId> tokens) const;

  /// Text for people: unknown ids are skipped, bytes that are not UTF-8 become U+FFFD.
  std::string decode(std::span<const TokenId> tokens) const;

  /// The id of a special token by its text, e.g. "<|start|>"; nothing when there is none.
  std::optional<TokenId> special(std::string_view text) const;
  bool is_special(TokenId id) const;

  /// One past the highest id that encode can give.
  std::size_t vocab_size() const;

  /// e.g. "o200k_harmony", or the name given to from_json.
  const std::string& name() const;

 private:
  explicit Tokenizer(Vocabulary vocabulary);

  std::shared_ptr<const Vocabulary> vocabulary_;
};

}  // namespace gossamer::tokenizer
