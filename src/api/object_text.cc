#include "api/object_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "tokenizer/utf8.h"

namespace gossamer::api {
namespace {

bool is_written_as_it_is(std::string_view string) {
  const auto is_escaped = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
  };
  return std::none_of(string.begin(), string.end(), is_escaped) &&
         tokenizer::valid_utf8_prefix(string) == string.size();
}

}  // namespace

void append_string(std::string& text, std::string_view string) {
  if (is_written_as_it_is(string)) {
    text.append(1, '"').append(string).append(1, '"');
  } else {
    text += to_text(Json(string));
  }
}

ObjectText& ObjectText::add(std::string_view name, std::string_view value) {
  append_string(begin(name), value);
  return *this;
}

ObjectText& ObjectText::add(std::string_view name, std::int64_t value) {
  begin(name).append(fmt::format_int(value).c_str());
  return *this;
}

ObjectText& ObjectText::add_json(std::string_view name, const Json& value) {
  std::string& text = begin(name);
  if (value.is_null()) {
    text += "null";
  } else {
    text += to_text(value);
  }
  return *this;
}

std::string& ObjectText::begin(std::string_view name) {
  if (!text_->ends_with('{')) *text_ += ',';
  return text_->append(1, '"').append(name).append("\":");
}

}  // namespace gossamer::api
