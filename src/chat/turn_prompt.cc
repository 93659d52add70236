#include "chat/turn_prompt.h"

#include <algorithm>

namespace gossamer::chat {
namespace {

using harmony::Conversation;
using harmony::Message;
using harmony::Role;

bool declares(const Message& message) {
  return message.role == Role::kSystem || message.role == Role::kDeveloper;
}

/// The messages that the model is shown. All reasoning before the last answer goes, so that the
/// calls which follow an answer do not bring it back, as they do in the reference.
std::vector<const Message*> shown_messages(const Conversation& conversation) {
  const auto& messages = conversation.messages;
  const auto last = std::find_if(messages.rbegin(), messages.rend(), [](const Message& message) {
    return message.role == Role::kAssistant && message.channel == "final";
  });
  const auto num_answered = static_cast<std::size_t>(messages.rend() - last);
  std::vector<const Message*> shown;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const bool is_answered = i < num_answered && messages[i].channel == "analysis";
    if (!is_answered) shown.push_back(&messages[i]);
  }
  return shown;
}

}  // namespace

TurnPrompt::TurnPrompt(const harmony::Encoding& encoding, const Conversation& conversation)
    : renderer_(encoding), functions_(harmony::declared_functions(conversation)) {
  header_ = encoding.tokenizer().encode_ordinary(harmony::role_name(Role::kAssistant));
  header_.insert(header_.begin(), encoding.id(harmony::Marker::kStart));
}

Result<TurnPrompt> TurnPrompt::create(
    const harmony::Encoding& encoding, const Conversation& conversation
) {
  TurnPrompt prompt(encoding, conversation);
  const Message* previous = nullptr;
  for (const Message* message : shown_messages(conversation)) {
    prompt.note_reuse(previous, *message);
    GOSSAMER_ASSIGN_OR_RETURN(
        const auto fragments, prompt.renderer_.message(*message, prompt.functions_)
    );
    const auto tokens = prompt.renderer_.tokens(fragments);
    prompt.tokens_.insert(prompt.tokens_.end(), tokens.begin(), tokens.end());
    previous = message;
  }
  return prompt;
}

void TurnPrompt::note_reuse(const Message* previous, const Message& next) {
  if (previous == nullptr) return;
  const bool is_fork = previous->role == Role::kUser || next.role == Role::kUser ||
                       (declares(*previous) && !declares(next));
  if (!is_fork) return;
  const std::size_t header = next.role == Role::kAssistant ? header_.size() : 0;
  reuse_positions_.push_back(static_cast<int>(tokens_.size() + header));
}

Status TurnPrompt::append(const Message& message) {
  GOSSAMER_ASSIGN_OR_RETURN(const auto fragments, renderer_.message(message, functions_));
  if (!has_begun_) reuse_positions_.push_back(static_cast<int>(tokens_.size() + header_.size()));
  has_begun_ = true;
  const auto tokens = renderer_.tokens(fragments);
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  return {};
}

std::vector<TokenId> TurnPrompt::tokens() const {
  std::vector<TokenId> tokens;
  tokens.reserve(tokens_.size() + header_.size());
  tokens.insert(tokens.end(), tokens_.begin(), tokens_.end());
  tokens.insert(tokens.end(), header_.begin(), header_.end());
  return tokens;
}

}  // namespace gossamer::chat
