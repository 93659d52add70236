#include "api/custom_tool_input.h"

#include <cctype>
#include <charconv>

#include "api/error.h"
#include "tokenizer/utf8.h"

namespace gossamer::api {
namespace {

// The JSON form's beginning, with white space allowed around each of these.
constexpr std::string_view kBeginning = R"({"input":")";

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// White space may stand after '{' and ':', and before ':' and the quote that begins the text.
bool may_skip_space(std::size_t matched) {
  return matched == 0 || matched == 1 || matched == kBeginning.size() - 2 ||
         matched == kBeginning.size() - 1;
}

void append_utf8(char32_t c, std::string& text) {
  if (c < 0x80) {
    text += static_cast<char>(c);
    return;
  }
  if (c < 0x800) {
    text += static_cast<char>(0xC0 | c >> 6);
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | c >> 12);
    text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | c >> 18);
    text += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
  }
  text += static_cast<char>(0x80 | (c & 0x3F));
}

}  // namespace

std::string CustomToolInput::push(std::string_view arguments) {
  std::string text;
  for (const char c : arguments) {
    switch (state_) {
      case State::kBeginning:
        begin(c, text);
        break;
      case State::kPlain:
        text += c;
        break;
      case State::kInString:
        push_in_string(c, text);
        break;
      case State::kEscape:
        push_escape(c, text);
        break;
      case State::kUnicode:
        push_unicode(c, text);
        break;
      case State::kAfterString:
        break;
    }
  }
  return text;
}

void CustomToolInput::begin(char c, std::string& text) {
  pending_ += c;
  if (c == kBeginning[matched_]) {
    if (++matched_ < kBeginning.size()) return;
    state_ = State::kInString;
    pending_.clear();
  } else if (!is_space(c) || !may_skip_space(matched_)) {
    state_ = State::kPlain;
    text += pending_;
    pending_.clear();
  }
}

void CustomToolInput::push_in_string(char c, std::string& text) {
  if (c == '\\') {
    state_ = State::kEscape;
    return;
  }
  flush_surrogate(text);
  if (c == '"') {
    state_ = State::kAfterString;
  } else {
    text += c;
  }
}

void CustomToolInput::push_escape(char c, std::string& text) {
  constexpr std::string_view kLetters = "bfnrt";
  constexpr std::string_view kMeanings = "\b\f\n\r\t";
  state_ = c == 'u' ? State::kUnicode : State::kInString;
  if (c == 'u') return;
  flush_surrogate(text);
  const std::size_t letter = kLetters.find(c);
  text += letter == std::string_view::npos ? c : kMeanings[letter];
}

void CustomToolInput::push_unicode(char c, std::string& text) {
  if (std::isxdigit(static_cast<unsigned char>(c)) == 0) {
    flush_surrogate(text);
    text += "\\u" + pending_;
    pending_.clear();
    state_ = State::kInString;
    push_in_string(c, text);
    return;
  }
  pending_ += c;
  if (pending_.size() < 4) return;
  unsigned unit = 0;
  std::from_chars(pending_.data(), pending_.data() + pending_.size(), unit, 16);
  pending_.clear();
  state_ = State::kInString;
  add_code_unit(unit, text);
}

void CustomToolInput::add_code_unit(unsigned unit, std::string& text) {
  const bool is_low = unit >= 0xDC00 && unit < 0xE000;
  if (is_low && high_surrogate_ != 0) {
    append_utf8(0x10000 + ((high_surrogate_ - 0xD800) << 10) + (unit - 0xDC00), text);
    high_surrogate_ = 0;
    return;
  }
  flush_surrogate(text);
  if (unit >= 0xD800 && unit < 0xDC00) {
    high_surrogate_ = unit;
  } else if (is_low) {
    text += tokenizer::kReplacementCharacter;
  } else {
    append_utf8(unit, text);
  }
}

void CustomToolInput::flush_surrogate(std::string& text) {
  if (high_surrogate_ == 0) return;
  high_surrogate_ = 0;
  text += tokenizer::kReplacementCharacter;
}

std::string CustomToolInput::finish() {
  std::string text;
  if (state_ == State::kBeginning) text = pending_;
  flush_surrogate(text);
  if (state_ == State::kEscape) text += '\\';
  if (state_ == State::kUnicode) text += "\\u" + pending_;
  pending_.clear();
  state_ = State::kAfterString;
  return text;
}

std::string custom_tool_input(std::string_view arguments) {
  CustomToolInput input;
  std::string text = input.push(arguments);
  return text + input.finish();
}

std::string custom_tool_arguments(std::string_view input) {
  return to_text(Json{{"input", input}});
}

}  // namespace gossamer::api
