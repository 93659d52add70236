#include "harmony/compact_json.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace gossamer::harmony {

namespace {

constexpr int kMaxDepth = 128;

/// The deepest nesting of arrays and objects; brackets inside strings do not count.
int nesting_depth(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

/// A float's shortest digits, laid out as Rust's ryu does: plain between 1e-5 and 1e16, otherwise
/// with an exponent that has no plus sign and no padding.
std::string float_text(double value) {
  std::array<char, 32> buffer{};
  const auto end =
      std::to_chars(buffer.begin(), buffer.end(), std::abs(value), std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t e = text.find('e');
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  int exponent = 0;
  const std::size_t exponent_start = e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(text.data() + exponent_start, text.data() + text.size(), exponent);

  const int point = exponent + 1;  // digits before the decimal point
  const int length = static_cast<int>(digits.size());
  const std::string_view sign = std::signbit(value) ? "-" : "";
  if (value == 0) return fmt::format("{}0.0", sign);
  if (length <= point && point <= 16) return fmt::format("{}{:0<{}}.0", sign, digits, point);
  if (0 < point && point <= 16) {
    return fmt::format("{}{}.{}", sign, digits.substr(0, point), digits.substr(point));
  }
  if (-5 < point && point <= 0) return fmt::format("{}0.{:0>{}}", sign, digits, length - point);
  if (length == 1) return fmt::format("{}{}e{}", sign, digits, exponent);
  return fmt::format("{}{}.{}e{}", sign, digits[0], digits.substr(1), exponent);
}

void write(const Json& value, std::string& out);

void write_array(const Json& value, std::string& out) {
  char separator = '[';
  for (const Json& item : value) {
    out += separator;
    write(item, out);
    separator = ',';
  }
  out += value.empty() ? "[]" : "]";
}

void write_object(const Json& value, std::string& out) {
  char separator = '{';
  for (const auto& [key, item] : value.items()) {
    out += separator;
    write(Json(key), out);
    out += ':';
    write(item, out);
    separator = ',';
  }
  out += value.empty() ? "{}" : "}";
}

void write(const Json& value, std::string& out) {
  if (value.is_array()) return write_array(value, out);
  if (value.is_object()) return write_object(value, out);
  if (value.is_number_float()) {
    out += float_text(value.get<double>());
  } else {
    out += value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view what) {
  if (nesting_depth(text) > kMaxDepth) {
    return make_error(
        ErrorCode::kInvalidArgument, "{}: JSON nested deeper than {} levels", what, kMaxDepth
    );
  }
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    return make_error(ErrorCode::kInvalidArgument, "{}: not JSON: {}", what, error.what());
  }
}

std::string compact_json(const Json& value) {
  std::string out;
  write(value, out);
  return out;
}

}  // namespace gossamer::harmony
