#include "tokenizer/tiktoken_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <utility>

namespace gossamer::tokenizer {
namespace {

constexpr std::uint8_t kNotBase64 = 0xFF;

constexpr std::array<std::uint8_t, 256> make_base64_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNotBase64);
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}

constexpr std::array<std::uint8_t, 256> kBase64Values = make_base64_values();

/// Appends the bytes of padded base64; false when it is not that.
bool append_base64(std::string_view base64, std::string& bytes) {
  if (base64.size() % 4 != 0 || base64.empty()) return false;
  const std::size_t padding = base64.ends_with("==") ? 2 : base64.ends_with('=') ? 1 : 0;
  const std::size_t num_digits = base64.size() - padding;
  std::uint32_t bits = 0;
  int num_bits = 0;
  for (const char c : base64.substr(0, num_digits)) {
    const std::uint8_t value = kBase64Values[static_cast<unsigned char>(c)];
    if (value == kNotBase64) return false;
    bits = bits << 6 | value;
    num_bits += 6;
    if (num_bits >= 8) {
      num_bits -= 8;
      bytes += static_cast<char>(bits >> num_bits);
    }
  }
  return (bits & ((1U << num_bits) - 1)) == 0;  // no bits left over from the last digit
}

/// A decoded line; its bytes are in a shared buffer that may still move.
struct Line {
  TokenId rank;
  std::size_t begin;
  std::size_t end;
};

/// What is wrong with a line, or nullptr.
const char* parse_line(std::string_view line, std::string& bytes, Line& parsed) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return "no space between token and rank";
  parsed.begin = bytes.size();
  if (!append_base64(line.substr(0, space), bytes)) return "the token is not base64";
  parsed.end = bytes.size();
  const char* const begin = line.data() + space + 1;
  const char* const end = line.data() + line.size();
  const auto [stop, code] = std::from_chars(begin, end, parsed.rank);
  if (code != std::errc() || stop != end) return "the rank is not a whole number";
  return nullptr;
}

std::string_view without_trailing_space(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

}  // namespace

Result<Vocabulary> read_tiktoken_file(std::string_view file, std::string_view name) {
  std::string_view rest = without_trailing_space(file);
  std::string bytes;
  bytes.reserve(file.size());
  std::vector<Line> lines;
  while (!rest.empty()) {
    const std::size_t newline = std::min(rest.find('\n'), rest.size());
    Line line{};
    const char* trouble = parse_line(without_trailing_space(rest.substr(0, newline)), bytes, line);
    if (trouble != nullptr) {
      return make_error(
          ErrorCode::kCorruptData, "{}: line {}: {}", name, lines.size() + 1, trouble
      );
    }
    lines.push_back(line);
    rest.remove_prefix(std::min(newline + 1, rest.size()));
  }
  Vocabulary::Parts parts{std::string(name), {}, o200k_harmony_specials()};
  parts.tokens.reserve(lines.size());
  for (const Line& line : lines) {
    parts.tokens.push_back(
        {line.rank, std::string_view(bytes).substr(line.begin, line.end - line.begin)}
    );
  }
  return Vocabulary::make(std::move(parts));
}

std::vector<SpecialToken> o200k_harmony_specials() {
  constexpr TokenId kFirst = 199998;
  constexpr TokenId kLast = 201088;
  constexpr std::pair<TokenId, const char*> kNamed[] = {
      {199998, "<|startoftext|>"},
      {199999, "<|endoftext|>"},
      {200002, "<|return|>"},
      {200003, "<|constrain|>"},
      {200005, "<|channel|>"},
      {200006, "<|start|>"},
      {200007, "<|end|>"},
      {200008, "<|message|>"},
      {200012, "<|call|>"},
  };
  std::vector<SpecialToken> specials;
  specials.reserve(kLast - kFirst + 1);
  for (TokenId id = kFirst; id <= kLast; ++id) {
    specials.push_back({id, fmt::format("<|reserved_{}|>", id), id == kLast});
  }
  for (const auto& [id, text] : kNamed) specials[id - kFirst].text = text;
  return specials;
}

}  // namespace gossamer::tokenizer
