#include "harmony/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

#include "base/terminal.h"
#include "harmony/stream_parser.h"
#include "tokenizer/utf8.h"

namespace gossamer::harmony {

namespace {

/// Text that a terminal can be trusted with.
std::string visible(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
      result += fmt::format("\\x{:02X}", byte);
    } else {
      result += c;
    }
  }
  return result;
}

/// visible, on one line.
std::string quoted(std::string_view text) {
  std::string result;
  for (const char c : visible(tokenizer::replace_invalid_utf8(text))) {
    if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else {
      result += c;
    }
  }
  return result;
}

std::string plural(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

Style style_of(const Message& message) {
  switch (message.role) {
    case Role::kSystem:
    case Role::kDeveloper:
      return Style::kMagenta;
    case Role::kUser:
      return Style::kGreen;
    case Role::kTool:
      return Style::kBlue;
    case Role::kAssistant:
      break;
  }
  return message.channel == "analysis" ? Style::kDim : Style::kCyan;
}

/// Writes the view while a parser goes through the stream.
class Explainer {
 public:
  Explainer(
      const Encoding& encoding, std::span<const TokenId> tokens, const ExplainOptions& options
  )
      : encoding_(encoding),
        tokens_(tokens),
        options_(options),
        parser_(encoding, {.role = options.role}) {}

  std::string run() {
    for (const TokenId token : tokens_) take(parser_.push(token));
    take(parser_.finish());
    write_repairs();
    if (last_end_ < tokens_.size()) write_rest();
    write_summary();
    return std::move(out_);
  }

 private:
  template <class... Args>
  void line(Style style, fmt::format_string<Args...> format, Args&&... args) {
    out_ += styled(fmt::format(format, std::forward<Args>(args)...), style, options_.colour) + '\n';
  }

  void take(std::span<const ParseEvent> events) {
    for (const ParseEvent& event : events) {
      if (const auto* diagnostic = std::get_if<Diagnostic>(&event)) {
        repairs_.push_back(*diagnostic);
        ++num_repairs_;
      } else if (const auto* ended = std::get_if<MessageEnded>(&event)) {
        write_message(parser_.messages()[ended->message], ended->stop);
      }
    }
  }

  /// The tokens since the last message.
  std::span<const TokenId> take_tokens() {
    const std::size_t end = parser_.num_tokens();
    const auto taken = tokens_.subspan(last_end_, end - last_end_);
    last_end_ = end;
    return taken;
  }

  void write_message(const Message& message, std::optional<Marker> stop) {
    const std::size_t begin = last_end_;
    const auto tokens = take_tokens();
    ++num_messages_;
    std::string head = message.role == Role::kTool && message.name
                           ? *message.name
                           : std::string(role_name(message.role));
    if (message.role != Role::kTool && message.name) head += ":" + *message.name;
    if (message.recipient) head += " → " + *message.recipient;
    if (message.channel) head += "  #" + *message.channel;
    if (message.content_type) head += "  " + *message.content_type;
    out_ += styled(quoted(head), Style::kBold, options_.colour);
    const std::string place = tokens.empty() ? std::string("no tokens")
                                             : fmt::format(
                                                   "tokens {}–{}, {}",
                                                   begin,
                                                   begin + tokens.size() - 1,
                                                   stop ? marker_text(*stop) : "no end"
                                               );
    line(Style::kDim, "  ({})", place);
    write_text(message.text(), style_of(message));
    if (options_.tokens) write_tokens(tokens);
    write_repairs();
    out_ += '\n';
  }

  void write_text(const std::string& text, Style style) {
    const std::string shown = visible(text);
    std::string_view rest = shown;
    const std::string bar = styled("│ ", style, options_.colour);
    for (bool more = !rest.empty(); more;) {
      const std::size_t end = rest.find('\n');
      more = end != std::string_view::npos;
      out_ += bar + styled(rest.substr(0, end), style, options_.colour) + '\n';
      if (more) rest.remove_prefix(end + 1);
    }
  }

  void write_tokens(std::span<const TokenId> tokens) {
    for (const TokenId token : tokens) {
      const auto bytes = encoding_.tokenizer().bytes_of(token);
      line(
          encoding_.is_special(token) ? Style::kYellow : Style::kDim,
          "  {:>6}  {}",
          token,
          bytes ? quoted(*bytes) : "(unknown id)"
      );
    }
  }

  void write_repairs() {
    for (const Diagnostic& repair : repairs_) {
      const std::string detail = repair.detail.empty() ? "" : ": " + quoted(repair.detail);
      line(
          Style::kRed,
          "! {} at token {}: {}{}",
          repair_name(repair.repair),
          repair.position,
          repair_description(repair.repair),
          detail
      );
    }
    repairs_.clear();
  }

  /// What follows the last message: the beginning of one that the model is to continue, or tokens
  /// that are no message.
  void write_rest() {
    const auto rest = tokens_.subspan(last_end_);
    out_ += styled(quoted(encoding_.tokenizer().decode(rest)), Style::kBold, options_.colour);
    line(Style::kDim, "  (tokens {}–{}, not a message yet)", last_end_, tokens_.size() - 1);
    if (options_.tokens) write_tokens(rest);
    out_ += '\n';
  }

  void write_summary() {
    const auto structural = std::count_if(tokens_.begin(), tokens_.end(), [this](TokenId token) {
      return encoding_.marker_of(token).has_value();
    });
    line(
        Style::kDim,
        "{}, {} ({} structural), {}",
        plural(num_messages_, "message"),
        plural(tokens_.size(), "token"),
        structural,
        num_repairs_ == 0 ? "well-formed" : plural(num_repairs_, "repair")
    );
  }

  const Encoding& encoding_;
  std::span<const TokenId> tokens_;
  ExplainOptions options_;
  StreamParser parser_;
  std::vector<Diagnostic> repairs_;  // not written yet
  std::size_t num_repairs_ = 0;
  std::size_t num_messages_ = 0;
  std::size_t last_end_ = 0;  // tokens before this one are written
  std::string out_;
};

}  // namespace

std::string explain(
    const Encoding& encoding, std::span<const TokenId> tokens, const ExplainOptions& options
) {
  return Explainer(encoding, tokens, options).run();
}

}  // namespace gossamer::harmony
