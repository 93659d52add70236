#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/event.h"
#include "engine/token_choice.h"
#include "tokenizer/stop_matcher.h"

namespace gossamer::chat {

/// The text of one message on its way to the caller: cut at a stop text, and with the tokens that
/// it was made of. A token is reported with the text in which its last character ends; the tokens
/// of a stop text are not.
class MessageText {
 public:
  explicit MessageText(std::vector<std::string> stops = {}) : stops_(std::move(stops)) {}

  /// Takes a token of so many bytes, before the text that it completes.
  void add_token(const engine::SampledToken& token, std::size_t num_bytes) {
    num_token_bytes_ += num_bytes;
    waiting_.push_back({token, num_token_bytes_});
  }

  /// Takes text: whole characters. Gives what is now certain, as an event of `message`; nothing
  /// when that is none.
  std::optional<TextAdded> add_text(std::size_t message, std::string_view text);

  /// The text held back, at the end of the message.
  std::optional<TextAdded> finish(std::size_t message);

  /// True once a stop text came up.
  bool is_stopped() const { return stops_.stopped(); }

  /// What was given so far.
  const std::string& text() const { return text_; }

 private:
  struct WaitingToken {
    engine::SampledToken token;
    std::size_t end;  // bytes of the message up to its end
  };

  std::optional<TextAdded> give(std::size_t message, const std::string& text);

  tokenizer::StopMatcher stops_;
  std::deque<WaitingToken> waiting_;
  std::size_t num_token_bytes_ = 0;
  std::string text_;
};

}  // namespace gossamer::chat
