#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "api/error.h"

namespace gossamer::api {

/// Appends a JSON string, as to_text() writes it.
void append_string(std::string& text, std::string_view string);

/// Writes a JSON object as text, field by field, and the same text as to_text() would: for what
/// comes with each token, where a tree would cost more than the rest. Ends the object with its own
/// life; the text outlives it.
class ObjectText {
 public:
  /// `beginning` is the object's, with fields or without.
  explicit ObjectText(std::string& text, std::string_view beginning = "{") : text_(&text) {
    text += beginning;
  }
  ObjectText(ObjectText&& other) noexcept : text_(std::exchange(other.text_, nullptr)) {}
  ObjectText& operator=(ObjectText&&) = delete;
  ~ObjectText() {
    if (text_ != nullptr) *text_ += '}';
  }

  // Names need no escapes.
  ObjectText& add(std::string_view name, std::string_view value);
  ObjectText& add(std::string_view name, std::int64_t value);
  ObjectText& add_json(std::string_view name, const Json& value);

  /// A field whose value the caller appends to the text, before anything else is added.
  std::string& begin(std::string_view name);

 private:
  std::string* text_;  // null once moved from
};

}  // namespace gossamer::api
