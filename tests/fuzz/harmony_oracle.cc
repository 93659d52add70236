#include "tests/fuzz/harmony_oracle.h"

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "tokenizer/utf8.h"

namespace gossamer::harmony {

namespace {

/// How often each byte occurs.
using Counts = std::array<std::size_t, 256>;

void count(std::string_view text, Counts& counts) {
  for (const char c : text) ++counts[static_cast<unsigned char>(c)];
}

void count(const std::optional<std::string>& text, Counts& counts) {
  if (text) count(std::string_view(*text), counts);
}

std::size_t occurrences(std::string_view text, std::string_view word) {
  std::size_t found = 0;
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + word.size())) {
    ++found;
  }
  return found;
}

bool is_space(unsigned char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// ASCII without white space: what neither U+FFFD nor trimming touches.
std::string solid_ascii(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && !is_space(byte)) result += c;
  }
  return result;
}

bool is_subsequence(std::string_view part, std::string_view whole) {
  std::size_t at = 0;
  for (const char c : whole) {
    if (at < part.size() && part[at] == c) ++at;
  }
  return at == part.size();
}

/// Follows one parse.
class Observer {
 public:
  Observer(const Encoding& encoding, std::optional<Role> role)
      : encoding_(encoding), parser_(encoding, {.role = role}) {}

  std::string run(std::span<const TokenId> tokens) {
    for (const TokenId token : tokens) {
      if (const auto bytes = encoding_.tokenizer().bytes_of(token);
          bytes && !encoding_.is_special(token)) {
        stream_text_ += *bytes;
        is_whole_characters_ &= tokenizer::valid_utf8_prefix(*bytes) == bytes->size();
      }
      take(parser_.push(token));
    }
    take(parser_.finish());
    count_prompt_end(tokens);
    if (is_open_) fail("a message is open after the end");
    if (parser_.messages().size() != num_started_) fail("a message came without an event");
    if (problem_.empty()) compare_text();
    return problem_;
  }

 private:
  void fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }

  void take(std::span<const ParseEvent> events) {
    for (const ParseEvent& event : events) std::visit([this](const auto& e) { see(e); }, event);
  }

  void see(const MessageStarted& event) {
    if (is_open_) fail("a message started inside another");
    if (event.message != num_started_) fail("messages are not counted in order");
    is_open_ = true;
    ++num_started_;
    added_.clear();
  }

  void see(const TextAdded& event) {
    if (!is_open_) fail("text outside a message");
    if (event.text.empty()) fail("an empty delta");
    if (tokenizer::valid_utf8_prefix(event.text) != event.text.size()) fail("a delta is not UTF-8");
    added_ += event.text;
  }

  void see(const MessageEnded& event) {
    if (!is_open_) fail("the end of no message");
    is_open_ = false;
    const Message& message = parser_.messages()[event.message];
    if (message.text() != added_) fail("the content is not what the deltas added");
    content_ += added_;
    const std::string_view role = role_name(message.role);
    count(role, fields_);
    count(message.name, fields_);
    count(message.recipient, fields_);
    count(message.channel, fields_);
    count(message.content_type, fields_);
  }

  void see(const Diagnostic& event) { count(std::string_view(event.detail), fields_); }

  void see(const FormatError& event) { fail("an error in lenient mode: " + event.message); }

  /// A stream may end as a prompt does, in `<|start|>` and a role: that is no message.
  void count_prompt_end(std::span<const TokenId> tokens) {
    std::string text;
    for (const TokenId token : tokens) {
      if (token == encoding_.id(Marker::kStart)) text.clear();
      const auto bytes = encoding_.tokenizer().bytes_of(token);
      if (bytes && !encoding_.is_special(token)) text += *bytes;
    }
    if (role_from_name(text)) count(std::string_view(text), fields_);
  }

  void compare_text() {
    Counts in_stream{};
    Counts in_content{};
    count(std::string_view(stream_text_), in_stream);
    count(std::string_view(content_), in_content);
    // The words of a header that its fields do not repeat.
    for (std::size_t i = occurrences(stream_text_, "to="); i > 0; --i) {
      count(std::string_view("to="), fields_);
    }
    fields_[':'] += in_stream[':'];
    // Parts of a character may end up in different places, as U+FFFD; ASCII never does.
    const std::size_t num_exact = is_whole_characters_ ? 256 : 128;
    for (std::size_t byte = 0; byte < num_exact; ++byte) {
      if (in_content[byte] > in_stream[byte]) fail("the content holds text that never came");
      const bool is_lost = in_stream[byte] > in_content[byte] + fields_[byte];
      if (is_lost && !is_space(static_cast<unsigned char>(byte))) fail("text was lost");
    }
    if (!is_subsequence(solid_ascii(content_), solid_ascii(stream_text_))) {
      fail("the content is out of order");
    }
  }

  const Encoding& encoding_;
  StreamParser parser_;
  std::string stream_text_;  // bytes of the text tokens
  std::string content_;      // of all messages
  std::string added_;        // to the open message
  Counts fields_{};          // of headers and repairs
  std::size_t num_started_ = 0;
  bool is_open_ = false;
  bool is_whole_characters_ = true;  // every text token by itself
  std::string problem_;
};

}  // namespace

std::string check_lenient_parse(
    const Encoding& encoding, std::span<const TokenId> tokens, std::optional<Role> role
) {
  return Observer(encoding, role).run(tokens);
}

}  // namespace gossamer::harmony
