#include "api/chat_messages.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "api/custom_tool_input.h"

namespace gossamer::api {
namespace {

using harmony::Message;
using harmony::Role;

constexpr std::string_view kConstrainedJson = "<|constrain|>json";

/// What stands for a part that the model cannot see; nothing for parts that are text.
std::optional<std::string> placeholder(std::string_view type) {
  for (const std::string_view kind : {"image", "audio", "video", "file"}) {
    if (type.find(kind) != std::string_view::npos) return "[" + std::string(kind) + "]";
  }
  return std::nullopt;
}

void append_line(std::string& text, std::string_view line) {
  if (line.empty()) return;
  if (!text.empty()) text += '\n';
  text += line;
}

std::string read_part(const ObjectReader& part) {
  const std::string type = part.string_or("type", "text");
  if (auto word = placeholder(type)) return *std::move(word);
  const std::string_view key = type == "refusal" ? "refusal" : "text";
  if (part.find(key) == nullptr && !part.error()) part.fail_missing(key);
  return part.string_or(key, "");
}

/// Content that is a string, or a list of strings and parts; absent content is empty.
std::string read_content(const ObjectReader& message, std::string_view key) {
  const Json* content = message.find(key);
  if (content == nullptr) return {};
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) {
    message.fail(key, "must be a string or an array of parts");
    return {};
  }
  std::string text;
  for (std::size_t i = 0; i < content->size(); ++i) {
    const Json& part = (*content)[i];
    if (part.is_string()) {
      append_line(text, part.get_ref<const std::string&>());
      continue;
    }
    const ObjectReader reader(part, element_path(message.path_of(key), i), message.error());
    if (message.error()) return {};
    append_line(text, read_part(reader));
  }
  return text;
}

/// Arguments are JSON text; some clients send the JSON itself.
std::string read_arguments(const ObjectReader& function) {
  const Json* arguments = function.find("arguments");
  if (arguments != nullptr && arguments->is_object()) return arguments->dump();
  return function.string_or("arguments", "");
}

Message assistant_message(std::string_view channel, std::string text) {
  Message message = Message::of_text(Role::kAssistant, std::move(text));
  message.channel = channel;
  return message;
}

class MessagesReader {
 public:
  MessagesReader(FirstError& error, const ToolRegistry& tools, harmony::DeveloperContent& developer)
      : error_(error), tools_(tools), developer_(developer) {}

  std::vector<Message> read(const Json& messages, const std::string& path) {
    for (std::size_t i = 0; i < messages.size() && !error_; ++i) {
      const ObjectReader message(messages[i], element_path(path, i), error_);
      if (!error_) read_message(message);
    }
    return std::move(messages_);
  }

 private:
  void read_message(const ObjectReader& message) {
    const std::string role = message.string_or("role", "");
    if (role == "system" || role == "developer") return add_instructions(message);
    has_begun_ = true;
    if (role == "user") {
      messages_.push_back(Message::of_text(Role::kUser, read_content(message, "content")));
    } else if (role == "assistant") {
      add_assistant(message);
    } else if (role == "tool" || role == "function") {
      add_result(message);
    } else if (!error_) {
      message.fail("role", "must be system, developer, user, assistant or tool");
    }
  }

  void add_instructions(const ObjectReader& message) {
    std::string text = read_content(message, "content");
    if (has_begun_) {
      Message developer;
      developer.role = Role::kDeveloper;
      developer.content = {harmony::DeveloperContent{.instructions = std::move(text)}};
      messages_.push_back(std::move(developer));
    } else if (developer_.instructions) {
      *developer_.instructions += "\n\n" + text;
    } else if (!text.empty()) {
      developer_.instructions = std::move(text);
    }
  }

  void add_assistant(const ObjectReader& message) {
    const std::string reasoning = read_reasoning(message);
    if (!reasoning.empty()) messages_.push_back(assistant_message("analysis", reasoning));
    std::string text = read_content(message, "content");
    if (text.empty()) text = message.string_or("refusal", "");
    const Json* calls = message.array("tool_calls");
    const Json* call = message.object("function_call");
    const bool has_calls = (calls != nullptr && !calls->empty()) || call != nullptr;
    if (!text.empty()) {
      messages_.push_back(assistant_message(has_calls ? "commentary" : "final", std::move(text)));
    }
    for (std::size_t i = 0; calls != nullptr && i < calls->size() && !error_; ++i) {
      const ObjectReader reader(
          (*calls)[i], element_path(message.path_of("tool_calls"), i), error_
      );
      if (!error_) add_call(reader);
    }
    if (call != nullptr)
      add_function(ObjectReader(*call, message.path_of("function_call"), error_), "");
  }

  /// Clients repeat the name under which they read it; what is not text is of another server.
  static std::string read_reasoning(const ObjectReader& message) {
    for (const std::string_view key : {"reasoning", "reasoning_content", "thinking"}) {
      const Json* text = message.find(key);
      if (text == nullptr || !text->is_string()) continue;
      if (!text->get_ref<const std::string&>().empty()) return text->get<std::string>();
    }
    return {};
  }

  void add_call(const ObjectReader& call) {
    const std::string id = call.string_or("id", "");
    const bool is_custom = call.string_or("type", "function") == "custom";
    const std::string_view key = is_custom ? "custom" : "function";
    const Json* body = call.object(key);
    if (body == nullptr) {
      if (!error_) call.fail_missing(key);
      return;
    }
    const ObjectReader reader(*body, call.path_of(key), error_);
    if (!is_custom) return add_function(reader, id);
    const std::string input = custom_tool_arguments(reader.string_or("input", ""));
    add_call_message({ToolKind::kCustom, read_name(reader), {}}, id, input);
  }

  void add_function(const ObjectReader& function, const std::string& id) {
    add_call_message({ToolKind::kFunction, read_name(function), {}}, id, read_arguments(function));
  }

  std::string read_name(const ObjectReader& reader) {
    std::string name = reader.string_or("name", "");
    if (name.empty() && !error_) reader.fail_missing("name");
    return name;
  }

  void add_call_message(const ToolName& name, const std::string& id, const std::string& arguments) {
    Message message = assistant_message("commentary", arguments);
    message.recipient = tools_.recipient_of(name);
    message.content_type = kConstrainedJson;
    callees_[id] = *message.recipient;
    messages_.push_back(std::move(message));
  }

  void add_result(const ObjectReader& message) {
    Message result = Message::of_text(Role::kTool, read_content(message, "content"));
    result.name = callee_of(message);
    result.recipient = "assistant";
    result.channel = "commentary";
    messages_.push_back(std::move(result));
  }

  /// Who answered: the callee of the call of this id, else a function of the name given.
  std::string callee_of(const ObjectReader& result) const {
    const auto call = callees_.find(result.string_or("tool_call_id", ""));
    if (call != callees_.end()) return call->second;
    std::string name = result.string_or("name", "");
    if (name.empty()) name = "unknown";
    return tools_.recipient_of({ToolKind::kFunction, std::move(name), {}});
  }

  FirstError& error_;
  const ToolRegistry& tools_;
  harmony::DeveloperContent& developer_;
  std::vector<Message> messages_;
  std::map<std::string, std::string> callees_;  // by id of the call
  bool has_begun_ = false;                      // a message that is not instructions came
};

}  // namespace

std::vector<Message> read_chat_messages(
    const ObjectReader& request, const ToolRegistry& tools, harmony::DeveloperContent& developer
) {
  const Json* messages = request.array("messages");
  if (messages == nullptr) {
    if (!request.error()) request.fail_missing("messages");
    return {};
  }
  if (messages->empty()) request.fail("messages", "is empty; there must be a message to answer");
  return MessagesReader(request.error(), tools, developer)
      .read(*messages, request.path_of("messages"));
}

}  // namespace gossamer::api
