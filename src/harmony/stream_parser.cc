#include "harmony/stream_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "harmony/strict_header.h"
#include "tokenizer/utf8.h"

namespace gossamer::harmony {

namespace {

/// A header longer than this is text whose `<|message|>` is missing.
constexpr std::size_t kMaxHeaderTokens = 128;

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\n\v\f\r") == std::string_view::npos;
}

/// True for what a prompt ends with: nothing yet, or a role.
bool is_prompt_end(const std::vector<HeaderSection>& sections) {
  const std::string_view text = sections.front().text;
  return sections.size() == 1 && (is_blank(text) || role_from_name(text));
}

/// The header as text, its markers written out.
std::string header_text(const std::vector<HeaderSection>& sections) {
  std::string text;
  for (const HeaderSection& section : sections) {
    if (section.marker) text += marker_text(*section.marker);
    text += section.text;
  }
  return tokenizer::replace_invalid_utf8(text);
}

}  // namespace

StreamParser::StreamParser(Encoding encoding, ParserOptions options)
    : encoding_(std::move(encoding)), options_(std::move(options)), state_(State::kBetween) {
  if (!options_.role) return;
  open_header(options_.role);
  tokens_ = encoding_.tokenizer().encode_ordinary(role_name(*options_.role));
  prompt_tokens_ = tokens_.size();
}

std::span<const ParseEvent> StreamParser::push(TokenId token) {
  events_.clear();
  if (options_.mode == ParseMode::kStrict) {
    push_strict(token);
  } else {
    push_lenient(token);
  }
  ++position_;
  return events_;
}

std::span<const ParseEvent> StreamParser::finish() {
  events_.clear();
  if (options_.mode == ParseMode::kStrict) {
    finish_strict();
  } else {
    finish_lenient();
  }
  return events_;
}

std::vector<Message> StreamParser::take_messages() {
  std::vector<Message> taken = std::exchange(messages_, {});
  if (has_open_message()) {
    messages_.push_back(std::move(taken.back()));
    taken.pop_back();
    text_ = &std::get<TextContent>(messages_.back().content.front()).text;
  }
  return taken;
}

// Messages, whatever the mode.

void StreamParser::begin_message(Message message) {
  message.content.assign(1, TextContent{});
  messages_.push_back(std::move(message));
  text_ = &std::get<TextContent>(messages_.back().content.front()).text;
  events_.emplace_back(MessageStarted{messages_.size() - 1});
  state_ = State::kContent;
}

void StreamParser::add_text(std::string_view bytes) {
  const std::size_t size = text_->size();
  const std::size_t replaced = utf8_.num_replaced();
  utf8_.append(bytes, *text_);
  if (text_->size() > size) events_.emplace_back(TextAdded{text_->substr(size)});
  if (utf8_.num_replaced() > replaced) note(Repair::kInvalidUtf8, "");
}

void StreamParser::end_message(std::optional<Marker> stop) {
  const std::size_t size = text_->size();
  const std::size_t replaced = utf8_.num_replaced();
  if (std::exchange(is_undecodable_, false)) *text_ += tokenizer::kReplacementCharacter;
  utf8_.finish(*text_);
  if (text_->size() > size) events_.emplace_back(TextAdded{text_->substr(size)});
  if (utf8_.num_replaced() > replaced && options_.mode == ParseMode::kLenient) {
    note(Repair::kInvalidUtf8, "");
  }
  Message& message = messages_.back();
  if (is_as_sampled_ && message.role == Role::kAssistant) message.sampled = std::move(tokens_);
  tokens_.clear();
  events_.emplace_back(MessageEnded{messages_.size() - 1, stop});
  state_ = State::kBetween;
}

void StreamParser::open_header(std::optional<Role> role) {
  state_ = State::kHeader;
  role_ = role;
  sections_.assign(1, HeaderSection{});
  num_header_tokens_ = 0;
  tokens_.clear();
  prompt_tokens_ = 0;
  is_as_sampled_ = true;
}

// Strict mode.

void StreamParser::push_strict(TokenId token) {
  const auto marker = encoding_.marker_of(token);
  if (state_ == State::kBetween) {
    if (marker == Marker::kStart) {
      open_header(role_);
    } else {
      events_.emplace_back(FormatError{fmt::format(
          "Unexpected token {} while expecting start token {}", token, encoding_.id(Marker::kStart)
      )});
    }
    return;
  }
  tokens_.push_back(token);
  if (state_ == State::kContent) {
    if (marker && is_stop(*marker)) return end_message(marker);
    return add_strict_content(token);
  }
  if (marker == Marker::kMessage) close_strict_header();
}

void StreamParser::close_strict_header() {
  state_ = State::kBetween;
  const auto header =
      std::span(tokens_).subspan(prompt_tokens_).first(tokens_.size() - prompt_tokens_ - 1);
  const auto bytes = encoding_.tokenizer().decode_bytes(header);
  if (!bytes.ok() || tokenizer::valid_utf8_prefix(*bytes) != bytes->size()) {
    events_.emplace_back(FormatError{"could not decode header"});
    return;
  }
  auto message = read_strict_header(*bytes, role_);
  if (!message.ok()) {
    events_.emplace_back(FormatError{message.error().message});
    return;
  }
  role_.reset();
  begin_message(std::move(*message));
}

void StreamParser::add_strict_content(TokenId token) {
  const auto bytes = encoding_.tokenizer().bytes_of(token);
  if (!bytes) is_undecodable_ = true;
  if (is_undecodable_) return;
  const std::size_t size = text_->size();
  utf8_.append_like_reference(*bytes, *text_);
  if (text_->size() > size) events_.emplace_back(TextAdded{text_->substr(size)});
}

void StreamParser::finish_strict() {
  if (state_ == State::kContent) end_message(std::nullopt);
  if (state_ != State::kHeader) return;
  events_.emplace_back(FormatError{"Unexpected EOS while waiting for message header to complete"});
}

// Lenient mode.

void StreamParser::note(Repair repair, std::string_view detail) {
  ++repair_counts_[static_cast<std::size_t>(repair)];
  if (!keeps_sampled_form(repair)) is_as_sampled_ = false;
  events_.emplace_back(Diagnostic{repair, position_, std::string(detail)});
}

void StreamParser::note_all(const std::vector<HeaderRepair>& repairs) {
  for (const HeaderRepair& repair : repairs) note(repair.repair, repair.detail);
}

void StreamParser::push_lenient(TokenId token) {
  const auto marker = encoding_.marker_of(token);
  if (state_ != State::kBetween && marker != Marker::kStart) tokens_.push_back(token);
  switch (state_) {
    case State::kContent:
      return push_content(token, marker);
    case State::kHeader:
      return push_header(token, marker);
    case State::kBetween:
      return push_between(token, marker);
    case State::kDoubt:
      return push_doubt(token, marker);
  }
}

/// The bytes of a text token. Other tokens are noted and left out.
std::optional<std::string_view> StreamParser::text_bytes(TokenId token) {
  const auto bytes = encoding_.tokenizer().bytes_of(token);
  if (!bytes) {
    note(Repair::kUnknownToken, fmt::to_string(token));
  } else if (encoding_.is_special(token)) {
    note(Repair::kUnexpectedSpecial, *bytes);
    return std::nullopt;
  }
  return bytes;
}

void StreamParser::push_between(TokenId token, std::optional<Marker> marker) {
  if (marker == Marker::kStart) return open_header(std::nullopt);
  if (encoding_.is_end_of_text(token)) return;
  if (marker && is_stop(*marker)) return note(Repair::kStrayStop, marker_text(*marker));
  const auto bytes = marker ? marker_text(*marker) : text_bytes(token);
  if (!bytes || is_blank(*bytes)) return;
  open_header(Role::kAssistant);
  note(Repair::kMissingStart, tokenizer::replace_invalid_utf8(*bytes));
  push_header(token, marker);
}

void StreamParser::push_header(TokenId token, std::optional<Marker> marker) {
  if (encoding_.is_end_of_text(token)) return leave_header(std::nullopt, Repair::kStreamCut);
  if (!marker) return push_header_text(token);
  if (*marker == Marker::kMessage) return close_header();
  if (is_stop(*marker)) return leave_header(marker, Repair::kStrayStop);
  if (*marker == Marker::kStart) {
    leave_header(std::nullopt, Repair::kRepeatedStart);
    return open_header(std::nullopt);
  }
  sections_.push_back({marker, ""});
  ++num_header_tokens_;
}

void StreamParser::push_header_text(TokenId token) {
  const auto bytes = text_bytes(token);
  ++num_header_tokens_;
  if (bytes) sections_.back().text += *bytes;
  const bool is_over = (bytes && bytes->find('\n') != std::string_view::npos) ||
                       num_header_tokens_ >= kMaxHeaderTokens;
  if (is_over) stream_headless_text();
}

/// `<|message|>` came: the header is complete.
void StreamParser::close_header() {
  HeaderReading reading = read_closed_header(sections_, header_context());
  if (!reading.text_before.empty()) {
    begin_message(Message::of_text(reading.message.role, ""));
    note_all(reading.repairs);
    add_text(reading.text_before);
    end_message(std::nullopt);
    is_as_sampled_ = false;
  } else {
    note_all(reading.repairs);
  }
  begin_message(std::move(reading.message));
}

/// The message ended before its header did: what is there is kept. `empty` is what it means when
/// nothing but an author is there, which is no message.
void StreamParser::leave_header(std::optional<Marker> stop, Repair empty) {
  HeaderReading reading = read_open_header(sections_, header_context());
  const Message& message = reading.message;
  state_ = State::kBetween;
  if (reading.text_after.empty() && !message.channel && !message.recipient) {
    return note(empty, header_text(sections_));
  }
  note(Repair::kMissingMessage, "");
  note_all(reading.repairs);
  begin_message(std::move(reading.message));
  add_text(reading.text_after);
  end_message(stop);
}

/// The header has become longer than headers are: what follows its fields is content.
void StreamParser::stream_headless_text() {
  HeaderReading reading = read_open_header(sections_, header_context());
  if (reading.text_after.empty() && num_header_tokens_ < kMaxHeaderTokens) return;
  note(Repair::kMissingMessage, "");
  note_all(reading.repairs);
  begin_message(std::move(reading.message));
  add_text(reading.text_after);
}

void StreamParser::push_content(TokenId token, std::optional<Marker> marker) {
  if (encoding_.is_end_of_text(token)) {
    note(Repair::kUnexpectedSpecial, "<|endoftext|>");
    return end_message(std::nullopt);
  }
  if (!marker) {
    if (const auto bytes = text_bytes(token)) add_text(*bytes);
    return;
  }
  if (is_stop(*marker)) return end_message(marker);
  if (*marker == Marker::kStart) {
    note(Repair::kMissingEnd, "");
    end_message(std::nullopt);
    return open_header(std::nullopt);
  }
  if (*marker == Marker::kChannel && messages_.back().role == Role::kAssistant) {
    state_ = State::kDoubt;
    sections_.assign(1, HeaderSection{marker, ""});
    num_header_tokens_ = 1;
    return;
  }
  note(Repair::kMisplacedMarker, marker_text(*marker));
}

/// True when the text in doubt begins with a channel's name.
bool StreamParser::begins_next_message() const {
  const std::string_view text = sections_.front().text;
  return std::any_of(
      options_.channels.begin(),
      options_.channels.end(),
      [text](const std::string& channel) {
        return text.starts_with(channel) &&
               (text.size() == channel.size() || is_blank(text.substr(channel.size(), 1)));
      }
  );
}

void StreamParser::push_doubt(TokenId token, std::optional<Marker> marker) {
  const bool is_header_marker = marker == Marker::kChannel || marker == Marker::kConstrain;
  if (!marker && !encoding_.is_end_of_text(token)) {
    const auto bytes = text_bytes(token);
    ++num_header_tokens_;
    if (bytes) sections_.back().text += *bytes;
    const bool is_over = (bytes && bytes->find('\n') != std::string_view::npos) ||
                         num_header_tokens_ >= kMaxHeaderTokens;
    if (is_over) resolve_doubt_as_text();
  } else if (is_header_marker && begins_next_message() && num_header_tokens_ < kMaxHeaderTokens) {
    sections_.push_back({marker, ""});
    ++num_header_tokens_;
  } else if (marker == Marker::kMessage && begins_next_message()) {
    resolve_doubt_as_header();
  } else {
    resolve_doubt_as_text();
    push_content(token, marker);
  }
}

void StreamParser::resolve_doubt_as_header() {
  note(Repair::kMissingEnd, "");
  end_message(std::nullopt);
  role_ = Role::kAssistant;
  sections_.insert(sections_.begin(), HeaderSection{});
  is_as_sampled_ = false;
  note(Repair::kMissingStart, "");
  close_header();
}

void StreamParser::resolve_doubt_as_text() {
  state_ = State::kContent;
  for (const HeaderSection& section : sections_) {
    note(Repair::kMisplacedMarker, marker_text(*section.marker));
    add_text(section.text);
  }
}

void StreamParser::finish_lenient() {
  if (state_ == State::kDoubt) resolve_doubt_as_text();
  if (state_ == State::kContent) {
    note(Repair::kStreamCut, "");
    end_message(std::nullopt);
  } else if (state_ == State::kHeader) {
    state_ = State::kBetween;
    if (is_prompt_end(sections_)) return;
    note(Repair::kStreamCut, "");
    leave_header(std::nullopt, Repair::kMissingMessage);
  }
}

ParsedStream parse_stream(
    const Encoding& encoding, std::span<const TokenId> tokens, const ParserOptions& options
) {
  ParsedStream result;
  StreamParser parser(encoding, options);
  const auto take = [&result](std::span<const ParseEvent> events) {
    for (const ParseEvent& event : events) {
      if (const auto* found = std::get_if<Diagnostic>(&event)) result.diagnostics.push_back(*found);
      if (const auto* found = std::get_if<FormatError>(&event)) result.error = found->message;
    }
  };
  for (const TokenId token : tokens) {
    take(parser.push(token));
    if (result.error) break;
  }
  if (!result.error) take(parser.finish());
  const bool is_open = parser.has_open_message();
  result.messages = parser.messages();
  if (is_open) result.messages.pop_back();
  return result;
}

}  // namespace gossamer::harmony
