#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/error.h"

namespace gossamer::api {

/// Reads the body of a request: a JSON object. Of repeated keys the last counts; halves of
/// surrogate pairs become U+FFFD. Errors, all 400, say where the body is not UTF-8 or not JSON, is
/// nested too deeply, or has too many members in one object.
ApiResult<Json> parse_body(std::string_view body);

/// The first thing that was wrong with a request; nothing while it is all right.
using FirstError = std::optional<ApiError>;

/// Keeps an error if it is the first.
void note_error(FirstError& error, ApiError found);

/// "input" and 2 are "input[2]".
std::string element_path(std::string_view path, std::size_t index);

/// "input[2]" and "content" are "input[2].content"; a path may be empty.
std::string member_path(std::string_view path, std::string_view key);

/// What an integer or a number may be, both ends included.
struct NumberRange {
  double low;
  double high;
};

/// Reads fields of a JSON object. A field that is null is absent; numbers and booleans may be
/// written as strings. What is wrong with a field is noted, with its path, and reads as absent: ask
/// the error when all is read.
class ObjectReader {
 public:
  /// `value` and `error` must outlive the reader. A value that is not an object is an error.
  ObjectReader(const Json& value, std::string path, FirstError& error);

  const std::string& path() const { return path_; }
  std::string path_of(std::string_view key) const { return member_path(path_, key); }
  FirstError& error() const { return *error_; }

  /// The field as it is; null when it is absent.
  const Json* find(std::string_view key) const;

  std::optional<std::string> string(std::string_view key) const;
  std::string string_or(std::string_view key, std::string_view otherwise) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::int64_t> integer(std::string_view key, NumberRange range) const;
  std::optional<double> number(std::string_view key, NumberRange range) const;
  const Json* object(std::string_view key) const;
  const Json* array(std::string_view key) const;

  /// Notes that a field is wrong: `path: message`.
  void fail(std::string_view key, std::string_view message) const;

  /// Notes that a field is missing.
  void fail_missing(std::string_view key) const { fail(key, "is required"); }

 private:
  std::optional<double> read_number(const Json& value) const;
  std::optional<double> number_within(
      std::string_view key, NumberRange range, std::string_view kind
  ) const;

  const Json* object_ = nullptr;  // null when the value was no object
  std::string path_;
  FirstError* error_;
};

}  // namespace gossamer::api
