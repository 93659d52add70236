#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "chat/turn.h"
#include "tools/tool.h"

namespace gossamer::chat {

/// The encoding of the released models, made once for all tests of the program.
inline const harmony::Encoding& o200k_encoding() {
  static const harmony::Encoding encoding = [] {
    auto tokenizer = tokenizer::Tokenizer::o200k_harmony();
    GOSSAMER_CHECK(tokenizer.ok());
    auto made = harmony::Encoding::create(std::move(tokenizer).value());
    GOSSAMER_CHECK(made.ok());
    return std::move(made).value();
  }();
  return encoding;
}

inline std::vector<TokenId> tokens_of(std::string_view text) {
  return o200k_encoding().tokenizer().encode_with_specials(text);
}

inline std::string text_of(std::span<const TokenId> tokens) {
  return o200k_encoding().tokenizer().decode(tokens);
}

/// A tool that says what it was asked.
class EchoTool final : public tools::Tool {
 public:
  const harmony::ToolNamespace& declaration() const override { return declaration_; }
  tools::ToolResult run(const harmony::Message& call, std::stop_token) const override {
    return {.output = "echo: " + call.text()};
  }

 private:
  harmony::ToolNamespace declaration_{
      .name = "echo", .functions = {{.name = "say", .description = "Says it again."}}};
};

inline std::string describe(const Event& event) {
  static constexpr std::string_view kKinds[] = {
      "reasoning", "preamble", "answer", "function_call", "tool_call"};
  if (const auto* started = std::get_if<MessageStarted>(&event)) {
    return fmt::format(
        "{} {}{}{}",
        started->message,
        kKinds[static_cast<std::size_t>(started->kind)],
        started->recipient.empty() ? "" : " ",
        started->recipient
    );
  }
  if (const auto* added = std::get_if<TextAdded>(&event)) {
    return fmt::format("{} \"{}\"", added->message, added->text);
  }
  if (const auto* ended = std::get_if<MessageEnded>(&event)) {
    return fmt::format("{} {}", ended->message, ended->is_complete ? "end" : "cut");
  }
  const auto& finished = std::get<ToolFinished>(event);
  return fmt::format(
      "{} result {}{}", finished.message, finished.failed ? "! " : "", finished.output
  );
}

/// Drives a turn with tokens that were written beforehand, and keeps what it says. Neighbouring
/// texts of a message are joined.
class ScriptedTurn {
 public:
  explicit ScriptedTurn(TurnRequest request)
      : turn_(std::move(Turn::create(o200k_encoding(), std::move(request))).value()) {}

  /// A generation that samples what the text encodes to. kLength: when it is cut at the end.
  ScriptedTurn& generate(
      std::string_view text, engine::FinishReason reason = engine::FinishReason::kStop
  ) {
    return generate(tokens_of(text), reason);
  }

  ScriptedTurn& generate(
      const std::vector<TokenId>& tokens, engine::FinishReason reason = engine::FinishReason::kStop
  ) {
    auto request = turn_.next_generation();
    GOSSAMER_CHECK(request.ok());
    requests_.push_back(std::move(request).value());
    for (const TokenId token : tokens) {
      sampled_.push_back(token);
      note(turn_.push({.token = token, .logprob = -0.5}));
      if (turn_.is_stopped()) break;
    }
    note(turn_.finish_generation(reason, 3));
    return *this;
  }

  ScriptedTurn& run_tool() {
    note(turn_.add_tool_result(turn_.pending_tool()->run(*turn_.pending_call(), {})));
    return *this;
  }

  /// "0 reasoning", "0 \"text\"", "0 end", …
  const std::vector<std::string>& said() const { return said_; }
  const std::vector<Event>& events() const { return events_; }
  const std::vector<engine::Request>& requests() const { return requests_; }
  Turn& turn() { return turn_; }

 private:
  void note(std::span<const Event> events) {
    for (const Event& event : events) {
      const auto* added = std::get_if<TextAdded>(&event);
      auto* last = events_.empty() ? nullptr : std::get_if<TextAdded>(&events_.back());
      if (added != nullptr && last != nullptr && last->message == added->message) {
        last->text += added->text;
        last->tokens.insert(last->tokens.end(), added->tokens.begin(), added->tokens.end());
        said_.back() = describe(events_.back());
      } else {
        events_.push_back(event);
        said_.push_back(describe(event));
      }
    }
  }

  Turn turn_;
  std::vector<engine::Request> requests_;
  std::vector<TokenId> sampled_;
  std::vector<Event> events_;
  std::vector<std::string> said_;
};

}  // namespace gossamer::chat
