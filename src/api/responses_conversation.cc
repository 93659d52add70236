#include "api/responses_conversation.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "api/custom_tool_input.h"

namespace gossamer::api {
namespace {

using harmony::Message;
using harmony::Role;

constexpr std::string_view kJson = "<|constrain|>json";

std::string type_of(const Json& item) {
  return text_member(item, "type");
}

bool is_declaring(const Json& item) {
  const std::string role = text_member(item, "role");
  return type_of(item) == "message" && (role == "system" || role == "developer");
}

bool is_call(const Json& item) {
  const std::string type = type_of(item);
  return type == "function_call" || type == "custom_tool_call" || type == "mcp_call";
}

Message assistant_message(std::string_view channel, std::string text) {
  Message message = Message::of_text(Role::kAssistant, std::move(text));
  message.channel = channel;
  return message;
}

Message call_message(std::string recipient, std::string arguments) {
  Message message = assistant_message("commentary", std::move(arguments));
  message.recipient = std::move(recipient);
  message.content_type = kJson;
  return message;
}

Message result_message(std::string tool, std::string output) {
  Message message = Message::of_text(Role::kTool, std::move(output));
  message.name = std::move(tool);
  message.recipient = "assistant";
  message.channel = "commentary";
  return message;
}

Message developer_message(harmony::DeveloperContent content) {
  Message message;
  message.role = Role::kDeveloper;
  message.content.emplace_back(std::move(content));
  return message;
}

Message system_message(const ResponsesRequest& request, const ConversationContext& context) {
  harmony::SystemContent content = harmony::SystemContent::defaults();
  content.reasoning_effort = request.effort;
  content.conversation_start_date = context.date;
  if (request.selection.choice != chat::ToolChoice::kNone && !context.tools.empty()) {
    content.tools.emplace();
    for (const auto& tool : context.tools) {
      content.tools->emplace(tool->declaration().name, tool->declaration());
    }
  }
  Message message;
  message.role = Role::kSystem;
  message.content.emplace_back(std::move(content));
  return message;
}

/// Whether a message without a phase was said on the way to a call, not as the answer: a call
/// follows it before anyone else speaks.
bool leads_to_call(std::span<const Json> items, std::size_t index) {
  for (std::size_t i = index + 1; i < items.size(); ++i) {
    if (is_call(items[i])) return true;
    const std::string type = type_of(items[i]);
    const bool is_assistant = text_member(items[i], "role") == "assistant";
    if (type != "reasoning" && !is_assistant) return false;
  }
  return false;
}

/// What a call of a server's tool came to, as the model reads it.
std::string result_of(const Json& item) {
  if (item.contains("error") && !item["error"].is_null()) {
    const Json& error = item["error"];
    std::string text =
        error.is_object() && error.contains("content") ? text_of_parts(error["content"]) : "";
    if (!text.empty()) return text;
    const std::string message = error.is_string() ? error.get<std::string>() : "";
    return message.empty() ? text_member(error, "message") : message;
  }
  return text_member(item, "output");
}

/// Turns items into messages, one after the other.
class ConversationBuilder {
 public:
  ConversationBuilder(
      const ResponsesRequest& request,
      std::span<const Json> items,
      const ConversationContext& context,
      std::vector<std::string>& warnings
  )
      : request_(request), items_(items), context_(context), warnings_(warnings) {}

  harmony::Conversation build() {
    add(system_message(request_, context_));
    std::size_t begin = 0;
    while (begin < items_.size() && is_declaring(items_[begin])) ++begin;
    add_developer_message(items_.first(begin));
    for (std::size_t i = begin; i < items_.size(); ++i) add_item(i);
    return std::move(conversation_);
  }

 private:
  void add(Message message) { conversation_.messages.push_back(std::move(message)); }

  void add_developer_message(std::span<const Json> leading) {
    harmony::DeveloperContent content;
    std::string instructions = request_.instructions.value_or("");
    for (const Json& item : leading) {
      const std::string text = text_of_parts(item.value("content", Json()));
      if (!instructions.empty() && !text.empty()) instructions += "\n\n";
      instructions += text;
    }
    if (!instructions.empty()) content.instructions = std::move(instructions);
    if (request_.selection.choice != chat::ToolChoice::kNone && !request_.tools.empty()) {
      content.tools = request_.tools.declarations();
    }
    content.response_formats = request_.response_formats;
    if (content == harmony::DeveloperContent{}) return;
    add(developer_message(std::move(content)));
  }

  void add_item(std::size_t index) {
    const Json& item = items_[index];
    const std::string type = type_of(item);
    if (type == "message") {
      add_message(item, index);
    } else if (type == "reasoning") {
      add_reasoning(item);
    } else if (type == "function_call" || type == "custom_tool_call") {
      add_call(item, type == "custom_tool_call");
    } else if (type == "function_call_output" || type == "custom_tool_call_output") {
      add_output(item);
    } else if (type == "mcp_call") {
      add_server_call(item);
    } else if (type == "code_interpreter_call") {
      add_code(item);
    } else {
      warnings_.push_back("an item of type " + type + " is not shown to the model");
    }
  }

  void add_message(const Json& item, std::size_t index) {
    const std::string role = text_member(item, "role");
    std::string text = text_of_parts(item.value("content", Json()));
    if (role == "assistant") {
      const std::string phase = text_member(item, "phase");
      const bool is_preamble =
          phase == "commentary" || (phase.empty() && leads_to_call(items_, index));
      add(assistant_message(is_preamble ? "commentary" : "final", std::move(text)));
    } else if (is_declaring(item)) {
      add(developer_message({.instructions = std::move(text), .tools = {}, .response_formats = {}})
      );
    } else {
      add(Message::of_text(Role::kUser, std::move(text)));
    }
  }

  void add_reasoning(const Json& item) {
    const std::string sealed = text_member(item, "encrypted_content");
    std::string text = text_of_parts(item.value("content", Json()));
    if (!sealed.empty()) {
      auto opened = context_.seal == nullptr ? std::nullopt : context_.seal->open(sealed);
      if (opened) {
        text = *std::move(opened);
      } else {
        warnings_.emplace_back("encrypted reasoning that this server did not seal is ignored");
      }
    }
    if (!text.empty()) add(assistant_message("analysis", std::move(text)));
  }

  void add_call(const Json& item, bool is_custom) {
    const ToolName name{
        .kind = is_custom ? ToolKind::kCustom : ToolKind::kFunction,
        .name = text_member(item, "name"),
        .name_space = text_member(item, "namespace")};
    std::string recipient = request_.tools.recipient_of(name);
    calls_[text_member(item, "call_id")] = recipient;
    std::string arguments = is_custom ? custom_tool_arguments(text_member(item, "input"))
                                      : text_member(item, "arguments");
    add(call_message(std::move(recipient), std::move(arguments)));
  }

  void add_output(const Json& item) {
    const auto call = calls_.find(text_member(item, "call_id"));
    std::string name = text_member(item, "name");
    if (name.empty()) name = "unknown";
    std::string tool = call != calls_.end()
                           ? call->second
                           : request_.tools.recipient_of({ToolKind::kFunction, name, {}});
    add(result_message(std::move(tool), text_of_parts(item.value("output", Json()))));
  }

  /// What the model called when it called a function of a server's tool.
  std::string server_recipient(const std::string& label, const std::string& name) const {
    for (const auto& tool : context_.tools) {
      const harmony::ToolNamespace& declared = tool->declaration();
      if (declared.name == label && declared.functions.empty()) return label;
    }
    return header_word(label) + "." + header_word(name);
  }

  void add_server_call(const Json& item) {
    const std::string recipient =
        server_recipient(text_member(item, "server_label"), text_member(item, "name"));
    add(call_message(recipient, text_member(item, "arguments")));
    add(result_message(recipient, result_of(item)));
  }

  void add_code(const Json& item) {
    Message call = assistant_message("commentary", text_member(item, "code"));
    call.recipient = "python";
    call.content_type = "code";
    add(std::move(call));
    std::string logs;
    for (const Json& output : item.value("outputs", Json::array())) {
      logs += text_member(output, "logs");
    }
    add(result_message("python", std::move(logs)));
  }

  const ResponsesRequest& request_;
  std::span<const Json> items_;
  const ConversationContext& context_;
  std::vector<std::string>& warnings_;
  std::map<std::string, std::string> calls_;  // call_id -> recipient
  harmony::Conversation conversation_;
};

}  // namespace

harmony::Conversation build_conversation(
    const ResponsesRequest& request,
    std::span<const Json> items,
    const ConversationContext& context,
    std::vector<std::string>& warnings
) {
  return ConversationBuilder(request, items, context, warnings).build();
}

chat::TurnRequest make_turn_request(
    const ResponsesRequest& request,
    harmony::Conversation conversation,
    const ConversationContext& context
) {
  chat::TurnRequest turn;
  turn.conversation = std::move(conversation);
  turn.functions = request.selection.recipients;
  if (request.selection.allows_server_tools) turn.tools = context.tools;
  turn.tool_choice = request.selection.choice;
  turn.sampling = request.sampling;
  turn.max_tokens = request.max_output_tokens;
  turn.user = request.user;
  return turn;
}

}  // namespace gossamer::api
