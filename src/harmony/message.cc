#include "harmony/message.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace gossamer::harmony {

namespace {

constexpr std::array<std::string_view, 5> kRoleNames = {
    "user", "assistant", "system", "developer", "tool"};
constexpr std::array<std::string_view, 3> kEffortNames = {"low", "medium", "high"};

}  // namespace

std::string_view role_name(Role role) {
  return kRoleNames[static_cast<std::size_t>(role)];
}

std::string_view effort_name(ReasoningEffort effort) {
  return kEffortNames[static_cast<std::size_t>(effort)];
}

std::optional<Role> role_from_name(std::string_view name) {
  const auto* const found = std::find(kRoleNames.begin(), kRoleNames.end(), name);
  if (found == kRoleNames.end()) return std::nullopt;
  return static_cast<Role>(found - kRoleNames.begin());
}

ToolNamespace function_tools(std::vector<ToolFunction> functions) {
  return {.name = "functions", .description = std::nullopt, .functions = std::move(functions)};
}

SystemContent SystemContent::defaults() {
  SystemContent content;
  content.model_identity = "You are ChatGPT, a large language model trained by OpenAI.";
  content.reasoning_effort = ReasoningEffort::kMedium;
  content.knowledge_cutoff = "2024-06";
  content.channel_config = ChannelConfig{
      .valid_channels = {"analysis", "commentary", "final"}, .channel_required = true};
  return content;
}

Message Message::of_text(Role role, std::string text) {
  Message message;
  message.role = role;
  message.content.emplace_back(TextContent{std::move(text)});
  return message;
}

std::string Message::text() const {
  std::string text;
  for (const Content& item : content) {
    if (const auto* part = std::get_if<TextContent>(&item)) text += part->text;
  }
  return text;
}

bool Message::operator==(const Message& other) const {
  const auto meaning = [](const Message& message) {
    return std::tie(
        message.role,
        message.name,
        message.content,
        message.recipient,
        message.channel,
        message.content_type
    );
  };
  return meaning(*this) == meaning(other);
}

}  // namespace gossamer::harmony
