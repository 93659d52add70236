#include "harmony/renderer.h"

#include <algorithm>
#include <array>
#include <utility>

namespace gossamer::harmony {

namespace {

constexpr std::string_view kAnalysis = "analysis";
constexpr std::string_view kFinal = "final";

/// The reference's names in its errors.
std::string_view debug_name(Role role) {
  constexpr std::array<std::string_view, 5> kNames = {
      "User", "Assistant", "System", "Developer", "Tool"};
  return kNames[static_cast<std::size_t>(role)];
}

Error misplaced(std::string_view content, std::string_view allowed, Role found) {
  return make_error(
      ErrorCode::kInvalidArgument,
      "{} may only appear in {} messages, found in {}",
      content,
      allowed,
      debug_name(found)
  );
}

Result<std::string> text_of(const Content& content, Role role, FunctionTools functions) {
  if (const auto* text = std::get_if<TextContent>(&content)) return text->text;
  if (const auto* system = std::get_if<SystemContent>(&content)) {
    if (role != Role::kSystem) return misplaced("SystemContent", "system", role);
    return system_text(*system, functions);
  }
  if (role != Role::kDeveloper) return misplaced("DeveloperContent", "developer", role);
  return developer_text(std::get<DeveloperContent>(content));
}

void add_content_type(const std::string& type, std::vector<Fragment>& fragments) {
  const std::string_view constrain = marker_text(Marker::kConstrain);
  if (!type.starts_with(constrain)) {
    fragments.emplace_back(" " + type);
    return;
  }
  fragments.emplace_back(" ");
  fragments.emplace_back(Marker::kConstrain);
  fragments.emplace_back(type.substr(constrain.size()));
}

}  // namespace

FunctionTools declared_functions(const Conversation& conversation) {
  for (const Message& message : conversation.messages) {
    for (const Content& item : message.content) {
      const auto* developer = std::get_if<DeveloperContent>(&item);
      if (developer == nullptr || !developer->tools) continue;
      const auto functions = developer->tools->find("functions");
      if (functions != developer->tools->end() && !functions->second.functions.empty()) {
        return FunctionTools::kDeclared;
      }
    }
  }
  return FunctionTools::kNone;
}

std::size_t first_kept_analysis(const Conversation& conversation) {
  const auto& messages = conversation.messages;
  const auto last = std::find_if(messages.rbegin(), messages.rend(), [](const Message& message) {
    return message.role == Role::kAssistant;
  });
  if (last == messages.rend() || last->channel != kFinal) return 0;
  const auto first = std::find_if(messages.begin(), messages.end(), [](const Message& message) {
    return message.channel == kFinal;
  });
  return static_cast<std::size_t>(first - messages.begin());
}

Status Renderer::add_header(const Message& message, std::vector<Fragment>& fragments) const {
  fragments.emplace_back(Marker::kStart);
  if (message.role == Role::kTool) {
    if (!message.name) return make_error(ErrorCode::kInvalidArgument, "Tools should have a name!");
    fragments.emplace_back(*message.name);
  } else {
    fragments.emplace_back(std::string(role_name(message.role)));
    if (message.name) fragments.emplace_back(":" + *message.name);
  }
  if (message.recipient && *message.recipient != "all") {
    fragments.emplace_back(" to=" + *message.recipient);
  }
  if (message.channel) {
    fragments.emplace_back(Marker::kChannel);
    fragments.emplace_back(*message.channel);
  }
  if (message.content_type) add_content_type(*message.content_type, fragments);
  fragments.emplace_back(Marker::kMessage);
  return {};
}

void Renderer::add_sampled(const Message& message, std::vector<Fragment>& fragments) const {
  fragments.emplace_back(Marker::kStart);
  std::vector<TokenId> tokens = message.sampled;
  const auto last = encoding_.marker_of(tokens.back());
  const bool is_stopped = last && is_stop(*last);
  if (is_stopped) tokens.pop_back();
  fragments.emplace_back(std::move(tokens));
  const bool is_call = is_stopped ? last == Marker::kCall : message.recipient.has_value();
  fragments.emplace_back(is_call ? Marker::kCall : Marker::kEnd);
}

Status Renderer::add_message(
    const Message& message, FunctionTools functions, std::vector<Fragment>& fragments
) const {
  if (!message.sampled.empty()) {
    add_sampled(message, fragments);
    return {};
  }
  GOSSAMER_RETURN_IF_ERROR(add_header(message, fragments));
  for (const Content& item : message.content) {
    GOSSAMER_ASSIGN_OR_RETURN(std::string text, text_of(item, message.role, functions));
    fragments.emplace_back(std::move(text));
  }
  const bool is_call = message.role == Role::kAssistant && message.recipient.has_value();
  fragments.emplace_back(is_call ? Marker::kCall : Marker::kEnd);
  return {};
}

Result<std::vector<Fragment>> Renderer::message(const Message& message, FunctionTools functions)
    const {
  std::vector<Fragment> fragments;
  GOSSAMER_RETURN_IF_ERROR(add_message(message, functions, fragments));
  return fragments;
}

Result<std::vector<Fragment>> Renderer::conversation(
    const Conversation& conversation, EarlierAnalysis analysis
) const {
  const FunctionTools functions = declared_functions(conversation);
  const std::size_t kept_from =
      analysis == EarlierAnalysis::kDrop ? first_kept_analysis(conversation) : 0;
  std::vector<Fragment> fragments;
  for (std::size_t i = 0; i < conversation.messages.size(); ++i) {
    const Message& message = conversation.messages[i];
    if (i < kept_from && message.channel == kAnalysis) continue;
    GOSSAMER_RETURN_IF_ERROR(add_message(message, functions, fragments));
  }
  return fragments;
}

Result<std::vector<Fragment>> Renderer::for_completion(
    const Conversation& conversation, Role next_role, EarlierAnalysis analysis
) const {
  GOSSAMER_ASSIGN_OR_RETURN(auto fragments, this->conversation(conversation, analysis));
  fragments.emplace_back(Marker::kStart);
  fragments.emplace_back(std::string(role_name(next_role)));
  return fragments;
}

Result<std::vector<Fragment>> Renderer::for_training(
    const Conversation& conversation, EarlierAnalysis analysis
) const {
  GOSSAMER_ASSIGN_OR_RETURN(auto fragments, this->conversation(conversation, analysis));
  if (conversation.messages.empty()) return fragments;
  const Message& last = conversation.messages.back();
  if (last.role == Role::kAssistant && last.channel == kFinal) {
    fragments.back() = Marker::kReturn;
  }
  return fragments;
}

std::vector<TokenId> Renderer::tokens(std::span<const Fragment> fragments) const {
  std::vector<TokenId> tokens;
  for (const Fragment& fragment : fragments) {
    if (const auto* marker = std::get_if<Marker>(&fragment)) {
      tokens.push_back(encoding_.id(*marker));
    } else if (const auto* sampled = std::get_if<std::vector<TokenId>>(&fragment)) {
      tokens.insert(tokens.end(), sampled->begin(), sampled->end());
    } else {
      const auto part = encoding_.tokenizer().encode_ordinary(std::get<std::string>(fragment));
      tokens.insert(tokens.end(), part.begin(), part.end());
    }
  }
  return tokens;
}

std::string Renderer::text(std::span<const Fragment> fragments) const {
  std::string text;
  for (const Fragment& fragment : fragments) {
    if (const auto* marker = std::get_if<Marker>(&fragment)) {
      text += marker_text(*marker);
    } else if (const auto* sampled = std::get_if<std::vector<TokenId>>(&fragment)) {
      text += encoding_.tokenizer().decode(*sampled);
    } else {
      text += std::get<std::string>(fragment);
    }
  }
  return text;
}

}  // namespace gossamer::harmony
