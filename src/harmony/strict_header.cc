#include "harmony/strict_header.h"

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "harmony/encoding.h"
#include "tokenizer/utf8.h"

namespace gossamer::harmony {

namespace {

/// The length of the Unicode white space character at the start of UTF-8 text, or 0.
std::size_t white_space_at(std::string_view text) {
  if (text.empty()) return 0;
  if (text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r')) return 1;
  if (text.starts_with("\u0085") || text.starts_with("\u00A0")) return 2;
  const std::string_view three = text.substr(0, 3);
  if (three == "\u1680" || three == "\u2028" || three == "\u2029" || three == "\u202F" ||
      three == "\u205F" || three == "\u3000") {
    return 3;
  }
  const bool is_space = three.starts_with("\xE2\x80") && three.size() == 3 &&
                        static_cast<unsigned char>(three[2]) >= 0x80 &&
                        static_cast<unsigned char>(three[2]) <= 0x8A;  // U+2000 .. U+200A
  return is_space ? 3 : 0;
}

std::string_view trim(std::string_view text) {
  while (const std::size_t length = white_space_at(text)) text.remove_prefix(length);
  for (bool trimmed = true; trimmed;) {
    trimmed = false;
    for (std::size_t length = 1; length <= 3 && length <= text.size(); ++length) {
      if (white_space_at(text.substr(text.size() - length)) != length) continue;
      text.remove_suffix(length);
      trimmed = true;
      break;
    }
  }
  return text;
}

std::vector<std::string> split_words(std::string_view text) {
  constexpr std::string_view kAsciiSpace = " \t\n\f\r";
  std::vector<std::string> words;
  for (;;) {
    const std::size_t begin = text.find_first_not_of(kAsciiSpace);
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_of(kAsciiSpace), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

/// Cuts `<|channel|>` and its value out of the header. Empty when there is no channel.
Result<std::optional<std::string>> take_channel(std::string& header) {
  const std::string_view marker = marker_text(Marker::kChannel);
  const std::size_t begin = header.find(marker);
  if (begin == std::string::npos) return std::optional<std::string>();
  const std::size_t value = begin + marker.size();
  std::size_t end = value;
  while (end < header.size() && header[end] != '<' &&
         white_space_at(std::string_view(header).substr(end)) == 0) {
    ++end;
  }
  if (end == value) {
    return make_error(
        ErrorCode::kCorruptData, "channel marker present but no channel value found in header"
    );
  }
  std::string channel = header.substr(value, end - value);
  header.erase(begin, end - begin);
  return std::optional<std::string>(std::move(channel));
}

/// Puts a space before every `<|constrain|>`, so that it begins a word.
std::string space_constrain_markers(std::string_view header) {
  const std::string_view marker = marker_text(Marker::kConstrain);
  std::string result;
  for (;;) {
    const std::size_t at = header.find(marker);
    result += header.substr(0, at);
    if (at == std::string_view::npos) return result;
    result += ' ';
    result += marker;
    header.remove_prefix(at + marker.size());
  }
}

/// Sets role and name from the first word, which is removed unless it is a role's name.
Status take_author(std::vector<std::string>& words, Message& message) {
  if (words.empty()) {
    return make_error(ErrorCode::kCorruptData, "message header did not contain a role");
  }
  const std::string first = words.front();
  const auto role = role_from_name(first);
  if (!role && words.size() == 1 && !first.starts_with("to=")) {
    return make_error(ErrorCode::kCorruptData, "Unknown role: {}", first);
  }
  message.role = role.value_or(Role::kTool);
  if (message.role == Role::kTool) message.name = first;
  if (!role) words.erase(words.begin());
  return {};
}

/// Takes the content type and the recipient from the end of the words.
void take_type_and_recipient(std::vector<std::string>& words, Message& message) {
  constexpr std::string_view kTo = "to=";
  if (words.empty()) return;
  const bool is_only_word = words.size() == 1;
  const std::string last = std::move(words.back());
  words.pop_back();
  if (last.starts_with(kTo)) {
    message.recipient = last.substr(kTo.size());
  } else if (is_only_word) {
    message.recipient = last;
  } else {
    message.content_type = last;
    const std::string& word = words.back();
    message.recipient = word.starts_with(kTo) ? word.substr(kTo.size()) : word;
    words.pop_back();
  }
}

/// True for the characters that Rust's {:?} escapes and that a header can hold by accident: white
/// space other than ' ', and invisible format characters.
bool is_escaped(char32_t c) {
  const bool is_space = c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
                        c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
  const bool is_format = c == 0xAD || (c >= 0x200B && c <= 0x200F) ||
                         (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
                         c == 0xFEFF;
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || is_space || is_format;
}

/// A string as Rust's {:?} writes it, for the strings that headers hold.
std::string rust_debug(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const auto [c, length] = tokenizer::decode_valid_utf8(text.data());
    if (c == '"' || c == '\\') {
      result += '\\';
      result += text[0];
    } else if (c == 0) {
      result += "\\0";
    } else if (is_escaped(c)) {
      result += fmt::format("\\u{{{:x}}}", static_cast<std::uint32_t>(c));
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return result + "\"";
}

}  // namespace

Result<Message> read_strict_header(std::string_view header, std::optional<Role> role) {
  std::string text(header);
  Message message;
  GOSSAMER_ASSIGN_OR_RETURN(message.channel, take_channel(text));
  const std::string spaced = space_constrain_markers(trim(text));
  std::vector<std::string> words = split_words(trim(spaced));
  if (role) {
    message.role = *role;
  } else {
    GOSSAMER_RETURN_IF_ERROR(take_author(words, message));
  }
  if (!words.empty() && words.front() == role_name(message.role)) words.erase(words.begin());
  take_type_and_recipient(words, message);
  if (!words.empty()) {
    return make_error(
        ErrorCode::kCorruptData,
        "unexpected tokens remaining in message header: Some({})",
        rust_debug(fmt::format("{}", fmt::join(words, " ")))
    );
  }
  return message;
}

}  // namespace gossamer::harmony
