#include "chat/message_text.h"

#include <utility>

namespace gossamer::chat {

std::optional<TextAdded> MessageText::add_text(std::size_t message, std::string_view text) {
  return give(message, stops_.push(text));
}

std::optional<TextAdded> MessageText::finish(std::size_t message) {
  return give(message, stops_.finish());
}

std::optional<TextAdded> MessageText::give(std::size_t message, const std::string& text) {
  if (text.empty()) return std::nullopt;
  text_ += text;
  TextAdded event{message, text, {}};
  while (!waiting_.empty() && waiting_.front().end <= text_.size()) {
    event.tokens.push_back(std::move(waiting_.front().token));
    waiting_.pop_front();
  }
  return event;
}

}  // namespace gossamer::chat
