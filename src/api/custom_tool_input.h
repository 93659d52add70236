#pragma once

#include <string>
#include <string_view>

namespace gossamer::api {

/// Finds the text of a custom tool's call while the model writes it: {"input": "…"}, the arguments
/// that it was shown, or plain text, taken as it is. The text comes in whole UTF-8 characters if
/// the arguments do. Total: what is no JSON string after all still gives text.
class CustomToolInput {
 public:
  /// Takes more of the arguments; returns what they add to the text, maybe nothing.
  std::string push(std::string_view arguments);

  /// Takes the end; returns the rest of the text.
  std::string finish();

 private:
  /// Whether the beginning is that of the JSON form, is not, or is still too short to tell.
  enum class State { kBeginning, kPlain, kInString, kEscape, kUnicode, kAfterString };

  void begin(char c, std::string& text);
  void push_in_string(char c, std::string& text);
  void push_escape(char c, std::string& text);
  void push_unicode(char c, std::string& text);
  void add_code_unit(unsigned unit, std::string& text);
  void flush_surrogate(std::string& text);

  State state_ = State::kBeginning;
  std::string pending_;  // the beginning, or the digits of an escape
  std::size_t matched_ = 0;
  unsigned high_surrogate_ = 0;  // waits for its other half; 0: none does
};

/// The text of a whole call.
std::string custom_tool_input(std::string_view arguments);

/// The arguments that say the same to the model.
std::string custom_tool_arguments(std::string_view input);

}  // namespace gossamer::api
