#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "harmony/diagnostic.h"
#include "harmony/encoding.h"
#include "harmony/lenient_header.h"
#include "harmony/message.h"
#include "harmony/utf8_text.h"

namespace gossamer::harmony {

/// A header is complete: the message at this index of messages() has its role, recipient, channel
/// and content type.
struct MessageStarted {
  std::size_t message;
};

/// Content came: whole UTF-8 characters, already appended to the open message.
struct TextAdded {
  std::string text;
};

/// The message is complete, and which marker ended it; none when the stream or the next message
/// did.
struct MessageEnded {
  std::size_t message;
  std::optional<Marker> stop;
};

/// Strict mode only: the stream is not well-formed, in the reference's words.
struct FormatError {
  std::string message;
};

using ParseEvent = std::variant<MessageStarted, TextAdded, MessageEnded, Diagnostic, FormatError>;

/// What the parser does with streams that are not well-formed.
enum class ParseMode {
  kLenient,  ///< repairs anything, keeps all text, and says what it repaired
  kStrict,   ///< as the reference library: malformed streams are errors, quirks are kept
};

struct ParserOptions {
  ParseMode mode = ParseMode::kLenient;

  /// The author that the prompt ended with: kAssistant for a completion. None when the stream
  /// begins with `<|start|>`.
  std::optional<Role> role;

  /// Words that may follow `<|channel|>`; for lenient mode.
  std::vector<std::string> channels = {"analysis", "commentary", "final"};
};

/// Tokens -> messages, a token at a time. Total: any token in any state gives events, never a
/// failure. Time is linear in the length of the stream. One thread at a time.
class StreamParser {
 public:
  StreamParser(Encoding encoding, ParserOptions options);

  /// Takes the next token. The events are valid until the next call.
  std::span<const ParseEvent> push(TokenId token);

  /// Takes the end of the stream. Pushing afterwards begins a new message.
  std::span<const ParseEvent> finish();

  /// The messages so far; while has_open_message(), the last one is still growing.
  const std::vector<Message>& messages() const { return messages_; }
  bool has_open_message() const { return state_ == State::kContent || state_ == State::kDoubt; }

  /// Moves the messages out; those that follow are counted from 0 again. An open message is left
  /// here, as index 0.
  std::vector<Message> take_messages();

  /// How often each repair was made so far.
  const RepairCounts& repair_counts() const { return repair_counts_; }

  /// Tokens pushed so far.
  std::size_t num_tokens() const { return position_; }

 private:
  /// kDoubt: `<|channel|>` came inside content, and what follows decides whether it begins the next
  /// message or is out of place.
  enum class State { kBetween, kHeader, kContent, kDoubt };

  void push_strict(TokenId token);
  void close_strict_header();
  void add_strict_content(TokenId token);
  void finish_strict();

  void push_lenient(TokenId token);
  void push_between(TokenId token, std::optional<Marker> marker);
  void push_header(TokenId token, std::optional<Marker> marker);
  void push_header_text(TokenId token);
  void push_content(TokenId token, std::optional<Marker> marker);
  void push_doubt(TokenId token, std::optional<Marker> marker);
  void finish_lenient();

  std::optional<std::string_view> text_bytes(TokenId token);
  void open_header(std::optional<Role> role);
  void close_header();
  void leave_header(std::optional<Marker> stop, Repair empty);
  void stream_headless_text();
  bool begins_next_message() const;
  void resolve_doubt_as_header();
  void resolve_doubt_as_text();

  void begin_message(Message message);
  void add_text(std::string_view bytes);
  void end_message(std::optional<Marker> stop);
  void note(Repair repair, std::string_view detail);
  void note_all(const std::vector<HeaderRepair>& repairs);
  HeaderContext header_context() const { return {role_, options_.channels}; }

  Encoding encoding_;
  ParserOptions options_;
  State state_;
  std::optional<Role> role_;  // the author that the prompt or an implied start gave
  std::vector<ParseEvent> events_;
  std::vector<Message> messages_;
  std::string* text_ = nullptr;  // of the open message
  Utf8Text utf8_;
  std::vector<HeaderSection> sections_;  // the header so far, or the text in doubt
  std::size_t num_header_tokens_ = 0;
  std::vector<TokenId> tokens_;    // of this message, as sampled, after `<|start|>`
  std::size_t prompt_tokens_ = 0;  // how many of tokens_ the prompt gave
  bool is_as_sampled_ = true;      // false when repeating tokens_ would repeat a malformed message
  bool is_undecodable_ = false;    // strict: an unknown id came, and hides the rest of the message
  std::size_t position_ = 0;
  RepairCounts repair_counts_{};
};

/// A whole stream, parsed.
struct ParsedStream {
  std::vector<Message> messages;
  std::vector<Diagnostic> diagnostics;  ///< lenient mode
  std::optional<std::string> error;     ///< strict mode; `messages` holds those before it
};

/// Parses a whole stream. Strict mode stops at the first error.
ParsedStream parse_stream(
    const Encoding& encoding, std::span<const TokenId> tokens, const ParserOptions& options
);

}  // namespace gossamer::harmony
