#include "tokenizer/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tokenizer/byte_pair_merge.h"
#include "tokenizer/utf8.h"

namespace gossamer::tokenizer {
namespace {

using nlohmann::json;

// The o200k split pattern around its digits, which are \p{N}{1,k} or \p{N}.
constexpr std::string_view kPatternBeforeDigits =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N})";
constexpr std::string_view kPatternAfterDigits =
    R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// The k of a split pattern that is o200k's with \p{N}{1,k} or \p{N}; nothing for any other.
std::optional<int> max_digits_of(std::string_view pattern) {
  if (!pattern.starts_with(kPatternBeforeDigits)) return std::nullopt;
  pattern.remove_prefix(kPatternBeforeDigits.size());
  if (!pattern.ends_with(kPatternAfterDigits)) return std::nullopt;
  pattern.remove_suffix(kPatternAfterDigits.size());
  if (pattern.empty()) return 1;
  if (!pattern.starts_with("{1,") || !pattern.ends_with("}")) return std::nullopt;
  const char* const end = pattern.data() + pattern.size() - 1;
  int digits = 0;
  const auto [stop, code] = std::from_chars(pattern.data() + 3, end, digits);
  if (code != std::errc() || stop != end || digits < 1) return std::nullopt;
  return digits;
}

// The byte-level alphabet writes each byte as one printable character below this one.
constexpr char32_t kAlphabetEnd = 0x144;

/// The byte of each alphabet character, or -1: printable Latin-1 is itself, and the other bytes, in
/// order, are U+0100 and up.
std::array<int, kAlphabetEnd> make_alphabet() {
  std::array<int, kAlphabetEnd> bytes{};
  bytes.fill(-1);
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    bytes[printable ? static_cast<char32_t>(byte) : next++] = byte;
  }
  return bytes;
}

class Reader {
 public:
  explicit Reader(std::string_view name) : name_(name), alphabet_(make_alphabet()) {}

  Result<Vocabulary> read(std::string_view text) {
    json document;
    try {
      document = json::parse(text);
    } catch (const json::exception& exception) {
      return corrupt("not JSON: {}", exception.what());
    }
    if (!document.is_object()) return corrupt("not a JSON object");
    Vocabulary::Parts parts;
    parts.name = name_;
    GOSSAMER_RETURN_IF_ERROR(check_unused_stages(document));
    GOSSAMER_ASSIGN_OR_RETURN(parts.max_digits, read_max_digits(document));
    GOSSAMER_ASSIGN_OR_RETURN(const json* model, member(document, "model", json::value_t::object));
    GOSSAMER_RETURN_IF_ERROR(check_model(*model));
    GOSSAMER_ASSIGN_OR_RETURN(parts.specials, read_added_tokens(document));
    buffer_.reserve(text.size());
    GOSSAMER_ASSIGN_OR_RETURN(parts.tokens, read_vocab(*model, parts.specials));
    GOSSAMER_ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::make(std::move(parts)));
    GOSSAMER_RETURN_IF_ERROR(check_merges(*model, vocabulary.tokens()));
    return vocabulary;
  }

 private:
  template <class... Args>
  Error corrupt(fmt::format_string<Args...> format, Args&&... args) const {
    return make_error(
        ErrorCode::kCorruptData, "{}: {}", name_, fmt::format(format, std::forward<Args>(args)...)
    );
  }

  template <class... Args>
  Error unsupported(fmt::format_string<Args...> format, Args&&... args) const {
    return make_error(
        ErrorCode::kUnsupported,
        "{}: {}; gossamer reads byte-level BPE with the o200k split pattern",
        name_,
        fmt::format(format, std::forward<Args>(args)...)
    );
  }

  Result<const json*> member(const json& object, const char* key, json::value_t type) const {
    const auto found = object.find(key);
    if (found == object.end()) return corrupt("\"{}\" is missing", key);
    if (found->type() != type) {
      return corrupt("\"{}\" is {}, not {}", key, found->type_name(), json(type).type_name());
    }
    return &*found;
  }

  Result<TokenId> id_of(const json& value, std::string_view token) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= Vocabulary::kMaxTokens) {
      return corrupt(
          "the id of token \"{}\" is not a number below {}", token, Vocabulary::kMaxTokens
      );
    }
    return value.get<TokenId>();
  }

  /// True when an optional setting is there and turned on.
  static bool is_set(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null() || *found == false) return false;
    return !found->is_string() || !found->get_ref<const std::string&>().empty();
  }

  Status check_unused_stages(const json& document) const;
  Status check_model(const json& model) const;
  Result<int> read_max_digits(const json& document) const;
  Result<int> read_split(const json& split) const;
  Result<std::vector<SpecialToken>> read_added_tokens(const json& document) const;
  Result<std::vector<Vocabulary::TextToken>> read_vocab(
      const json& model, const std::vector<SpecialToken>& specials
  );
  Result<std::string_view> decode_alphabet(std::string_view token);
  Result<std::pair<std::string_view, std::string_view>> read_merge(const json& merge);
  Status check_merges(const json& model, const TokenTable& table);
  Status check_merge_group(
      const TokenTable& table, TokenId id, const std::vector<std::size_t>& left_sizes, bool whole
  ) const;

  std::string name_;
  std::array<int, kAlphabetEnd> alphabet_;
  std::string buffer_;  // decoded tokens; reserved once, so that views into it last
};

Status Reader::check_unused_stages(const json& document) const {
  if (is_set(document, "normalizer")) return unsupported("it has a normalizer");
  return {};
}

Status Reader::check_model(const json& model) const {
  const auto type = model.find("type");
  if (type != model.end() && *type != "BPE") return unsupported("its model is {}", type->dump());
  for (const char* key :
       {"dropout",
        "unk_token",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "byte_fallback"}) {
    if (is_set(model, key)) return unsupported("its model has \"{}\"", key);
  }
  return {};
}

Result<int> Reader::read_max_digits(const json& document) const {
  GOSSAMER_ASSIGN_OR_RETURN(
      const json* pre_tokenizer, member(document, "pre_tokenizer", json::value_t::object)
  );
  const auto steps = pre_tokenizer->find("pretokenizers");
  if (steps == pre_tokenizer->end() || !steps->is_array() || steps->size() != 2) {
    return unsupported("its pre_tokenizer is not a Split and a ByteLevel");
  }
  const json& split = (*steps)[0];
  const json& byte_level = (*steps)[1];
  if (!split.is_object() || split.value("type", json()) != "Split" || !byte_level.is_object() ||
      byte_level.value("type", json()) != "ByteLevel") {
    return unsupported("its pre_tokenizer is not a Split and a ByteLevel");
  }
  if (is_set(byte_level, "add_prefix_space") ||
      byte_level.value("use_regex", json(true)) != false) {
    return unsupported("its ByteLevel adds a space or splits again");
  }
  return read_split(split);
}

Result<int> Reader::read_split(const json& split) const {
  // Both ways keep each match as one piece; the pattern leaves nothing between matches.
  const json behavior = split.value("behavior", json());
  const bool inverted = is_set(split, "invert");
  if (!(behavior == "Isolated" && !inverted) && !(behavior == "Removed" && inverted)) {
    return unsupported("its Split does not keep each match as a piece");
  }
  const json pattern = split.value("pattern", json());
  const json regex = pattern.is_object() ? pattern.value("Regex", json()) : json();
  if (!regex.is_string()) return corrupt("its Split has no pattern \"Regex\"");
  const auto max_digits = max_digits_of(regex.get_ref<const std::string&>());
  if (!max_digits) return unsupported("its split pattern is {}", regex.dump());
  return *max_digits;
}

Result<std::vector<SpecialToken>> Reader::read_added_tokens(const json& document) const {
  std::vector<SpecialToken> specials;
  const auto added = document.find("added_tokens");
  if (added == document.end() || added->is_null()) return specials;
  if (!added->is_array()) return corrupt("\"added_tokens\" is {}, not array", added->type_name());
  for (const json& token : *added) {
    if (!token.is_object()) return corrupt("an added token is {}, not object", token.type_name());
    GOSSAMER_ASSIGN_OR_RETURN(const json* text, member(token, "content", json::value_t::string));
    const auto& content = text->get_ref<const std::string&>();
    GOSSAMER_ASSIGN_OR_RETURN(const TokenId id, id_of(token.value("id", json()), content));
    for (const char* key : {"lstrip", "rstrip", "single_word"}) {
      if (is_set(token, key)) return unsupported("added token \"{}\" has \"{}\"", content, key);
    }
    specials.push_back({id, content});
  }
  return specials;
}

Result<std::vector<Vocabulary::TextToken>> Reader::read_vocab(
    const json& model, const std::vector<SpecialToken>& specials
) {
  GOSSAMER_ASSIGN_OR_RETURN(const json* vocab, member(model, "vocab", json::value_t::object));
  std::unordered_map<std::string_view, TokenId> special_ids;
  for (const SpecialToken& special : specials) special_ids.emplace(special.text, special.id);
  std::vector<Vocabulary::TextToken> tokens;
  tokens.reserve(vocab->size());
  for (const auto& [token, value] : vocab->items()) {
    GOSSAMER_ASSIGN_OR_RETURN(const TokenId id, id_of(value, token));
    // Added tokens may be listed in the vocabulary too, as they are.
    const auto special = special_ids.find(token);
    if (special != special_ids.end() && special->second == id) continue;
    GOSSAMER_ASSIGN_OR_RETURN(const std::string_view bytes, decode_alphabet(token));
    tokens.push_back({id, bytes});
  }
  return tokens;
}

Result<std::string_view> Reader::decode_alphabet(std::string_view token) {
  const std::size_t begin = buffer_.size();
  for (const char* at = token.data(); at != token.data() + token.size();) {
    const CodePoint character = decode_valid_utf8(at);
    if (character.value >= kAlphabetEnd || alphabet_[character.value] < 0) {
      return corrupt("token \"{}\" is not in the byte-level alphabet", token);
    }
    buffer_ += static_cast<char>(alphabet_[character.value]);
    at += character.length;
  }
  return std::string_view(buffer_).substr(begin);
}

/// The two parts of an entry of "merges": "left right", or ["left", "right"].
Result<std::pair<std::string_view, std::string_view>> Reader::read_merge(const json& merge) {
  std::string_view left;
  std::string_view right;
  if (merge.is_string()) {
    const std::string_view pair = merge.get_ref<const std::string&>();
    const std::size_t space = std::min(pair.find(' '), pair.size());
    left = pair.substr(0, space);
    right = pair.substr(std::min(space + 1, pair.size()));
  } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    left = merge[0].get_ref<const std::string&>();
    right = merge[1].get_ref<const std::string&>();
  }
  if (left.empty() || right.empty()) return corrupt("the merge {} is not two tokens", merge.dump());
  GOSSAMER_ASSIGN_OR_RETURN(const std::string_view left_bytes, decode_alphabet(left));
  GOSSAMER_ASSIGN_OR_RETURN(const std::string_view right_bytes, decode_alphabet(right));
  return std::pair(left_bytes, right_bytes);
}

Status Reader::check_merges(const json& model, const TokenTable& table) {
  GOSSAMER_ASSIGN_OR_RETURN(const json* merges, member(model, "merges", json::value_t::array));
  const bool whole = is_set(model, "ignore_merges");
  TokenId id = 0;                       // the token that the last merges made
  std::vector<std::size_t> left_sizes;  // where those merges cut it
  for (const json& merge : *merges) {
    buffer_.clear();  // the vocabulary has its own copy by now
    GOSSAMER_ASSIGN_OR_RETURN(const auto pair, read_merge(merge));
    const auto [left, right] = pair;
    const TokenId merged = table.find(buffer_);
    for (const std::string_view bytes : {left, right, std::string_view(buffer_)}) {
      if (table.find(bytes) == TokenTable::kNone) {
        return corrupt("the merge {} uses or makes what is no token", merge.dump());
      }
    }
    if (merged < id) {
      return unsupported("the merge {} makes token {} after token {}", merge.dump(), merged, id);
    }
    for (; id < merged; ++id) {
      GOSSAMER_RETURN_IF_ERROR(check_merge_group(table, id, left_sizes, whole));
      left_sizes.clear();
    }
    left_sizes.push_back(left.size());
  }
  for (; id < table.size(); ++id) {
    GOSSAMER_RETURN_IF_ERROR(check_merge_group(table, id, left_sizes, whole));
    left_sizes.clear();
  }
  return {};
}

/// That the merges of one token include the one that makes it. whole: a piece that is a token needs
/// no merges to become it.
Status Reader::check_merge_group(
    const TokenTable& table, TokenId id, const std::vector<std::size_t>& left_sizes, bool whole
) const {
  const std::string_view bytes = table.bytes_of(id);
  if (bytes.size() < 2) return {};
  const std::vector<std::string_view> parts = merge_below(table, bytes, id);
  if (parts.size() > 2) {
    if (whole) return {};
    return unsupported("no merges make token {}, and \"ignore_merges\" is off", id);
  }
  if (std::find(left_sizes.begin(), left_sizes.end(), parts[0].size()) == left_sizes.end()) {
    return unsupported("\"merges\" lacks the one that makes token {} in the order of ids", id);
  }
  return {};
}

}  // namespace

Result<Vocabulary> read_tokenizer_json(std::string_view json_text, std::string_view name) {
  return Reader(name).read(json_text);
}

}  // namespace gossamer::tokenizer
