#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/gossamer/loaded_model.h"
#include "base/result.h"
#include "base/token_id.h"
#include "harmony/message.h"

namespace gossamer::apps {

/// Where the prompt comes from: -p, --tokens, or stdin.
struct PromptFlags {
  std::optional<std::string> text;
  std::string tokens;
  bool specials = false;
};

/// Declares -p, --tokens and --specials.
void add_prompt_flags(CLI::App& app, PromptFlags& flags);

/// How --chat wraps a text.
struct ChatFlags {
  std::string reasoning = "medium";
  std::string developer;
};

/// "1,2, 3" or "1 2 3" -> ids. Errors name what is not one.
Result<std::vector<TokenId>> parse_tokens(const std::string& list);

/// The prompt's tokens: --tokens as they are; text encoded, with special tokens only when allowed.
Result<std::vector<TokenId>> raw_prompt(const PromptFlags& flags, const LoadedModel& model);

/// The conversation that --chat starts: system message, instructions if any, and the text as the
/// user's.
harmony::Conversation chat_conversation(const ChatFlags& chat, std::string text);

/// chat_conversation rendered, with the beginning of the assistant's answer.
Result<std::vector<TokenId>> chat_prompt(
    const PromptFlags& flags, const ChatFlags& chat, const LoadedModel& model
);

}  // namespace gossamer::apps
