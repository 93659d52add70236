#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/token_id.h"

namespace gossamer::harmony {

/// Who speaks.
enum class Role { kUser, kAssistant, kSystem, kDeveloper, kTool };

/// "user", "assistant", …
std::string_view role_name(Role role);

/// The role of a name, exactly as role_name writes it.
std::optional<Role> role_from_name(std::string_view name);

/// How much the model should think.
enum class ReasoningEffort { kLow, kMedium, kHigh };

/// "low", "medium" or "high".
std::string_view effort_name(ReasoningEffort effort);

/// A function that a tool offers.
struct ToolFunction {
  std::string name;
  std::string description;
  std::optional<std::string> parameters;  ///< JSON Schema as JSON text; its key order is rendered

  bool operator==(const ToolFunction&) const = default;
};

/// A tool: functions under one name, e.g. "functions" or "browser".
struct ToolNamespace {
  std::string name;
  std::optional<std::string> description;
  std::vector<ToolFunction> functions;  ///< none: the tool takes free text, as python does

  bool operator==(const ToolNamespace&) const = default;
};

/// Tools by key; rendered in the byte order of the keys.
using Tools = std::map<std::string, ToolNamespace>;

/// The namespace in which a caller's own functions are declared.
ToolNamespace function_tools(std::vector<ToolFunction> functions);

/// Which channels the model may write to.
struct ChannelConfig {
  std::vector<std::string> valid_channels;
  bool channel_required = false;

  bool operator==(const ChannelConfig&) const = default;
};

/// What a system message says. A field that is absent is not rendered.
struct SystemContent {
  std::optional<std::string> model_identity;
  std::optional<ReasoningEffort> reasoning_effort;
  std::optional<Tools> tools;
  std::optional<std::string> conversation_start_date;  ///< ISO date
  std::optional<std::string> knowledge_cutoff;         ///< e.g. "2024-06"
  std::optional<ChannelConfig> channel_config;

  /// What the models were trained with: identity, medium effort, cutoff, the three channels.
  static SystemContent defaults();

  bool operator==(const SystemContent&) const = default;
};

/// A JSON schema that the answer must follow, shown to the model under "# Response Formats".
struct ResponseFormat {
  std::string name;
  std::optional<std::string> description;
  std::string schema;  ///< JSON text, rendered as it is

  bool operator==(const ResponseFormat&) const = default;
};

/// What a developer message says.
struct DeveloperContent {
  std::optional<std::string> instructions;
  std::optional<Tools> tools;
  std::vector<ResponseFormat> response_formats;

  bool operator==(const DeveloperContent&) const = default;
};

/// Plain text, UTF-8.
struct TextContent {
  std::string text;

  bool operator==(const TextContent&) const = default;
};

using Content = std::variant<TextContent, SystemContent, DeveloperContent>;

/// One message. `sampled` is not part of its meaning: it is how the model wrote it.
struct Message {
  Role role = Role::kUser;
  std::optional<std::string> name;  ///< of a tool: what is rendered as its author
  std::vector<Content> content;
  std::optional<std::string> recipient;     ///< a tool, e.g. "functions.get_weather"
  std::optional<std::string> channel;       ///< "analysis", "commentary" or "final"
  std::optional<std::string> content_type;  ///< e.g. "<|constrain|>json"

  /// The tokens as sampled, from after `<|start|>` to the last one, when this message was parsed
  /// from well-formed model output. Rendering uses them as they are, so that a conversation's next
  /// prompt begins with the tokens that are already in the KV cache. Whoever changes the message
  /// must clear them.
  std::vector<TokenId> sampled;

  /// A message of one text.
  static Message of_text(Role role, std::string text);

  /// The text items, concatenated.
  std::string text() const;

  /// Equal meaning; `sampled` is not compared.
  bool operator==(const Message& other) const;
};

/// Messages, oldest first.
struct Conversation {
  std::vector<Message> messages;

  bool operator==(const Conversation&) const = default;
};

}  // namespace gossamer::harmony
