#include "api/json_reader.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "tokenizer/utf8.h"

namespace gossamer::api {
namespace {

// The parser recurses over arrays and objects, and looks for a key among all before it.
constexpr std::size_t kMaxDepth = 128;
constexpr std::size_t kMaxMembers = 2048;
constexpr std::size_t kMaxReason = 300;

ApiError bad_body(std::string message) {
  return {.code = "invalid_json", .message = std::move(message)};
}

std::optional<unsigned> read_escape(std::string_view text, std::size_t backslash) {
  const std::string_view digits = text.substr(backslash).substr(0, 6);
  if (digits.size() < 6 || digits[1] != 'u') return std::nullopt;
  unsigned value = 0;
  const auto end = std::from_chars(digits.data() + 2, digits.data() + 6, value, 16);
  if (end.ptr != digits.data() + 6) return std::nullopt;
  return value;
}

bool is_high_surrogate(std::optional<unsigned> unit) {
  return unit && *unit >= 0xD800 && *unit < 0xDC00;
}

bool is_low_surrogate(std::optional<unsigned> unit) {
  return unit && *unit >= 0xDC00 && *unit < 0xE000;
}

/// Goes over JSON text once, before it is parsed: how deep it is, how many members its objects
/// have, and where escapes are that stand for half a character.
class BodyScan {
 public:
  std::optional<ApiError> read(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c == '"') {
        i = skip_string(text, i + 1);
      } else if (c == '[' || c == '{') {
        if (commas_.size() == kMaxDepth) return too_deep(i);
        commas_.push_back({.is_object = c == '{'});
      } else if ((c == ']' || c == '}') && !commas_.empty()) {
        commas_.pop_back();
      } else if (c == ',' && !commas_.empty() && commas_.back().is_object) {
        if (++commas_.back().count == kMaxMembers) return too_many(i);
      }
    }
    return std::nullopt;
  }

  /// The text with those halves as U+FFFD.
  std::string repaired(std::string_view text) const {
    std::string result(text);
    for (const std::size_t half : halves_) result.replace(half, 6, "\\ufffd");
    return result;
  }

  bool has_halves() const { return !halves_.empty(); }

 private:
  struct Open {
    bool is_object = false;
    std::size_t count = 0;
  };

  static ApiError too_deep(std::size_t position) {
    return bad_body(fmt::format(
        "the body nests arrays and objects deeper than {} at byte {}", kMaxDepth, position
    ));
  }

  static ApiError too_many(std::size_t position) {
    return bad_body(fmt::format(
        "the body has an object of more than {} members at byte {}", kMaxMembers, position
    ));
  }

  /// Where the string that begins at `i` ends.
  std::size_t skip_string(std::string_view text, std::size_t i) {
    while (i < text.size() && text[i] != '"') {
      i += text[i] == '\\' ? skip_escape(text, i) : 1;
    }
    return i;
  }

  /// The length of an escape, or of two that make one character.
  std::size_t skip_escape(std::string_view text, std::size_t i) {
    const auto unit = read_escape(text, i);
    if (!unit) return 2;
    if (is_high_surrogate(unit) && i + 6 < text.size() && text[i + 6] == '\\' &&
        is_low_surrogate(read_escape(text, i + 6))) {
      return 12;
    }
    if (is_high_surrogate(unit) || is_low_surrogate(unit)) halves_.push_back(i);
    return 6;
  }

  std::vector<Open> commas_;
  std::vector<std::size_t> halves_;
};

/// A parser's complaint, without its tag, and not too long.
std::string reason_of(const nlohmann::json::exception& problem) {
  std::string_view text = problem.what();
  if (text.starts_with('[') && text.find("] ") != std::string_view::npos) {
    text.remove_prefix(text.find("] ") + 2);
  }
  return tokenizer::replace_invalid_utf8(text.substr(0, kMaxReason));
}

ApiResult<Json> parse(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& problem) {
    return bad_body("the body is not JSON: " + reason_of(problem));
  }
}

}  // namespace

ApiResult<Json> parse_body(std::string_view body) {
  const std::size_t valid = tokenizer::valid_utf8_prefix(body);
  if (valid != body.size()) {
    return bad_body(fmt::format("the body is not UTF-8 at byte {}", valid));
  }
  BodyScan scan;
  if (auto error = scan.read(body)) return *std::move(error);
  ApiResult<Json> json = scan.has_halves() ? parse(scan.repaired(body)) : parse(body);
  if (json.ok() && !json->is_object()) return bad_body("the body must be a JSON object");
  return json;
}

void note_error(FirstError& error, ApiError found) {
  if (!error) error = std::move(found);
}

std::string element_path(std::string_view path, std::size_t index) {
  return fmt::format("{}[{}]", path, index);
}

std::string member_path(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

ObjectReader::ObjectReader(const Json& value, std::string path, FirstError& error)
    : path_(std::move(path)), error_(&error) {
  if (value.is_object()) {
    object_ = &value;
  } else {
    note_error(*error_, invalid_request(path_, path_ + ": must be an object"));
  }
}

const Json* ObjectReader::find(std::string_view key) const {
  if (object_ == nullptr) return nullptr;
  const auto field = object_->find(key);
  return field == object_->end() || field->is_null() ? nullptr : &*field;
}

std::optional<std::string> ObjectReader::string(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  fail(key, "must be a string");
  return std::nullopt;
}

std::string ObjectReader::string_or(std::string_view key, std::string_view otherwise) const {
  return string(key).value_or(std::string(otherwise));
}

std::optional<bool> ObjectReader::boolean(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  if (*value == "true" || *value == 1) return true;
  if (*value == "false" || *value == 0) return false;
  fail(key, "must be true or false");
  return std::nullopt;
}

std::optional<double> ObjectReader::read_number(const Json& value) const {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const std::string& text = value.get_ref<const std::string&>();
  double number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> ObjectReader::number_within(
    std::string_view key, NumberRange range, std::string_view kind
) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto number = read_number(*value);
  const bool is_whole = number && std::trunc(*number) == *number;
  if (!number || !std::isfinite(*number) || (kind == "an integer" && !is_whole)) {
    fail(key, fmt::format("must be {}", kind));
  } else if (*number < range.low || *number > range.high) {
    fail(key, fmt::format("is {}; it must be between {} and {}", *number, range.low, range.high));
  } else {
    return number;
  }
  return std::nullopt;
}

std::optional<std::int64_t> ObjectReader::integer(std::string_view key, NumberRange range) const {
  const auto number = number_within(key, range, "an integer");
  if (!number) return std::nullopt;
  const Json* value = find(key);
  if (value->is_number_integer()) return value->get<std::int64_t>();
  return static_cast<std::int64_t>(*number);
}

std::optional<double> ObjectReader::number(std::string_view key, NumberRange range) const {
  return number_within(key, range, "a number");
}

const Json* ObjectReader::object(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_object()) return value;
  fail(key, "must be an object");
  return nullptr;
}

const Json* ObjectReader::array(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_array()) return value;
  fail(key, "must be an array");
  return nullptr;
}

void ObjectReader::fail(std::string_view key, std::string_view message) const {
  const std::string path = path_of(key);
  note_error(*error_, invalid_request(path, fmt::format("{}: {}", path, message)));
}

}  // namespace gossamer::api
