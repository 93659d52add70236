#include "apps/gossamer/prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <utility>

#include "apps/gossamer/text_input.h"
#include "base/local_date.h"
#include "base/terminal.h"
#include "harmony/encoding.h"
#include "harmony/renderer.h"

namespace gossamer::apps {
namespace {

Result<std::string> prompt_text(const PromptFlags& flags) {
  if (flags.text) return *flags.text;
  // Nobody may know that a silent program waits for them to type.
  if (is_terminal(stdin)) {
    return make_error(
        ErrorCode::kInvalidArgument, "there is no prompt; give one with -p TEXT, or pipe it in"
    );
  }
  return read_stdin();
}

harmony::ReasoningEffort effort_of(const std::string& name) {
  if (name == "low") return harmony::ReasoningEffort::kLow;
  if (name == "high") return harmony::ReasoningEffort::kHigh;
  return harmony::ReasoningEffort::kMedium;
}

}  // namespace

void add_prompt_flags(CLI::App& app, PromptFlags& flags) {
  auto* text = app.add_option("-p,--prompt", flags.text, "The text; stdin when not given");
  app.add_option("--tokens", flags.tokens, "The prompt as token ids instead: 1,2,3")
      ->excludes(text);
  app.add_flag(
      "--specials", flags.specials, "Let special tokens in the text, such as <|start|>, be special"
  );
}

Result<std::vector<TokenId>> parse_tokens(const std::string& list) {
  std::vector<TokenId> tokens;
  const char* at = list.data();
  const char* const end = at + list.size();
  while (at < end) {
    if (*at == ',' || *at == ' ' || *at == '\n') {
      ++at;
      continue;
    }
    TokenId token = 0;
    const auto [next, error] = std::from_chars(at, end, token);
    if (error != std::errc() || (next < end && *next != ',' && *next != ' ' && *next != '\n')) {
      return make_error(
          ErrorCode::kInvalidArgument,
          "--tokens takes ids separated by commas; \"{}\" is not one",
          std::string(at, std::find_if(at, end, [](char c) { return c == ',' || c == ' '; }))
      );
    }
    tokens.push_back(token);
    at = next;
  }
  return tokens;
}

Result<std::vector<TokenId>> raw_prompt(const PromptFlags& flags, const LoadedModel& model) {
  if (!flags.tokens.empty()) return parse_tokens(flags.tokens);
  GOSSAMER_ASSIGN_OR_RETURN(const auto* tokenizer, model.require_tokenizer());
  GOSSAMER_ASSIGN_OR_RETURN(const std::string text, prompt_text(flags));
  return flags.specials ? tokenizer->encode_with_specials(text) : tokenizer->encode_ordinary(text);
}

harmony::Conversation chat_conversation(const ChatFlags& chat, std::string text) {
  harmony::SystemContent system = harmony::SystemContent::defaults();
  system.reasoning_effort = effort_of(chat.reasoning);
  system.conversation_start_date = local_date();
  harmony::Conversation conversation;
  harmony::Message message;
  message.role = harmony::Role::kSystem;
  message.content.emplace_back(std::move(system));
  conversation.messages.push_back(std::move(message));
  if (!chat.developer.empty()) {
    harmony::Message developer;
    developer.role = harmony::Role::kDeveloper;
    developer.content.emplace_back(harmony::DeveloperContent{chat.developer, {}, {}});
    conversation.messages.push_back(std::move(developer));
  }
  conversation.messages.push_back(harmony::Message::of_text(harmony::Role::kUser, std::move(text)));
  return conversation;
}

Result<std::vector<TokenId>> chat_prompt(
    const PromptFlags& flags, const ChatFlags& chat, const LoadedModel& model
) {
  if (!flags.tokens.empty()) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "--chat wraps text; --tokens already are the whole prompt, so give one of the two"
    );
  }
  GOSSAMER_ASSIGN_OR_RETURN(const auto* tokenizer, model.require_tokenizer());
  GOSSAMER_ASSIGN_OR_RETURN(auto encoding, harmony::Encoding::create(*tokenizer));
  GOSSAMER_ASSIGN_OR_RETURN(std::string text, prompt_text(flags));
  const harmony::Renderer renderer(std::move(encoding));
  GOSSAMER_ASSIGN_OR_RETURN(
      const auto fragments,
      renderer.for_completion(
          chat_conversation(chat, std::move(text)),
          harmony::Role::kAssistant,
          harmony::EarlierAnalysis::kDrop
      )
  );
  return renderer.tokens(fragments);
}

}  // namespace gossamer::apps
