#include "harmony/message_json.h"

#include <array>

#include "harmony/compact_json.h"

namespace gossamer::harmony {

namespace {

constexpr std::array<std::string_view, 3> kEffortNames = {"Low", "Medium", "High"};

/// A JSON value, and the path to it for errors.
struct Node {
  const Json* value;
  std::string path;

  Error must_be(std::string_view what) const {
    return make_error(
        ErrorCode::kInvalidArgument, "{}: must be {}", path.empty() ? "the input" : path, what
    );
  }

  Node at(std::size_t index) const {
    return {&(*value)[index], fmt::format("{}[{}]", path, index)};
  }

  std::string path_of(std::string_view key) const {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
  }

  /// A member that is there and not null.
  std::optional<Node> find(const char* key) const {
    const auto found = value->find(key);
    if (found == value->end() || found->is_null()) return std::nullopt;
    return Node{&*found, path_of(key)};
  }
};

Result<std::string> string_of(const Node& node) {
  if (!node.value->is_string()) return node.must_be("a string");
  return node.value->get<std::string>();
}

Result<bool> bool_of(const Node& node) {
  if (!node.value->is_boolean()) return node.must_be("true or false");
  return node.value->get<bool>();
}

template <class T, class Parse>
Result<std::vector<T>> list_of(const Node& node, const Parse& parse) {
  if (!node.value->is_array()) return node.must_be("a list");
  std::vector<T> items;
  for (std::size_t i = 0; i < node.value->size(); ++i) {
    GOSSAMER_ASSIGN_OR_RETURN(T item, parse(node.at(i)));
    items.push_back(std::move(item));
  }
  return items;
}

template <class T, class Parse>
Result<std::optional<T>> optional_member(const Node& node, const char* key, const Parse& parse) {
  const auto found = node.find(key);
  if (!found) return std::optional<T>();
  GOSSAMER_ASSIGN_OR_RETURN(T value, parse(*found));
  return std::optional<T>(std::move(value));
}

template <class T, class Parse>
Result<T> required_member(const Node& node, const char* key, const Parse& parse) {
  const auto found = node.find(key);
  if (!found) return make_error(ErrorCode::kInvalidArgument, "{}: missing", node.path_of(key));
  return parse(*found);
}

Result<std::optional<std::string>> optional_string(const Node& node, const char* key) {
  return optional_member<std::string>(node, key, string_of);
}

Result<ToolFunction> function_of(const Node& node) {
  if (!node.value->is_object()) return node.must_be("an object");
  ToolFunction function;
  GOSSAMER_ASSIGN_OR_RETURN(function.name, required_member<std::string>(node, "name", string_of));
  GOSSAMER_ASSIGN_OR_RETURN(auto description, optional_string(node, "description"));
  function.description = description.value_or("");
  if (const auto parameters = node.find("parameters")) {
    function.parameters = compact_json(*parameters->value);
  }
  return function;
}

Result<ToolNamespace> namespace_of(const Node& node) {
  if (!node.value->is_object()) return node.must_be("an object");
  ToolNamespace tool;
  GOSSAMER_ASSIGN_OR_RETURN(tool.name, required_member<std::string>(node, "name", string_of));
  GOSSAMER_ASSIGN_OR_RETURN(tool.description, optional_string(node, "description"));
  const auto functions = [](const Node& list) { return list_of<ToolFunction>(list, function_of); };
  GOSSAMER_ASSIGN_OR_RETURN(
      tool.functions, required_member<std::vector<ToolFunction>>(node, "tools", functions)
  );
  return tool;
}

Result<Tools> tools_of(const Node& node) {
  if (!node.value->is_object()) return node.must_be("an object of tools by name");
  Tools tools;
  for (const auto& [key, value] : node.value->items()) {
    GOSSAMER_ASSIGN_OR_RETURN(tools[key], namespace_of({&value, node.path_of(key)}));
  }
  return tools;
}

Result<ReasoningEffort> effort_of(const Node& node) {
  for (std::size_t i = 0; i < kEffortNames.size(); ++i) {
    if (*node.value == kEffortNames[i]) return static_cast<ReasoningEffort>(i);
  }
  return node.must_be(R"("Low", "Medium" or "High")");
}

Result<ChannelConfig> channel_config_of(const Node& node) {
  if (!node.value->is_object()) return node.must_be("an object");
  ChannelConfig config;
  const auto strings = [](const Node& list) { return list_of<std::string>(list, string_of); };
  GOSSAMER_ASSIGN_OR_RETURN(
      config.valid_channels,
      required_member<std::vector<std::string>>(node, "valid_channels", strings)
  );
  GOSSAMER_ASSIGN_OR_RETURN(
      config.channel_required, required_member<bool>(node, "channel_required", bool_of)
  );
  return config;
}

Result<SystemContent> system_content_of(const Node& node) {
  SystemContent content;
  GOSSAMER_ASSIGN_OR_RETURN(content.model_identity, optional_string(node, "model_identity"));
  GOSSAMER_ASSIGN_OR_RETURN(
      content.reasoning_effort,
      optional_member<ReasoningEffort>(node, "reasoning_effort", effort_of)
  );
  GOSSAMER_ASSIGN_OR_RETURN(content.tools, optional_member<Tools>(node, "tools", tools_of));
  GOSSAMER_ASSIGN_OR_RETURN(
      content.conversation_start_date, optional_string(node, "conversation_start_date")
  );
  GOSSAMER_ASSIGN_OR_RETURN(content.knowledge_cutoff, optional_string(node, "knowledge_cutoff"));
  GOSSAMER_ASSIGN_OR_RETURN(
      content.channel_config,
      optional_member<ChannelConfig>(node, "channel_config", channel_config_of)
  );
  return content;
}

Result<ResponseFormat> response_format_of(const Node& node) {
  if (!node.value->is_object()) return node.must_be("an object");
  ResponseFormat format;
  GOSSAMER_ASSIGN_OR_RETURN(format.name, required_member<std::string>(node, "name", string_of));
  GOSSAMER_ASSIGN_OR_RETURN(format.description, optional_string(node, "description"));
  const auto schema = node.find("schema");
  if (!schema) {
    return make_error(ErrorCode::kInvalidArgument, "{}: missing", node.path_of("schema"));
  }
  format.schema = compact_json(*schema->value);
  return format;
}

Result<DeveloperContent> developer_content_of(const Node& node) {
  DeveloperContent content;
  GOSSAMER_ASSIGN_OR_RETURN(content.instructions, optional_string(node, "instructions"));
  GOSSAMER_ASSIGN_OR_RETURN(content.tools, optional_member<Tools>(node, "tools", tools_of));
  if (const auto formats = node.find("response_formats")) {
    GOSSAMER_ASSIGN_OR_RETURN(
        content.response_formats, list_of<ResponseFormat>(*formats, response_format_of)
    );
  }
  return content;
}

Result<Content> content_of(const Node& node) {
  if (!node.value->is_object()) return node.must_be("an object");
  GOSSAMER_ASSIGN_OR_RETURN(
      const std::string type, required_member<std::string>(node, "type", string_of)
  );
  if (type == "text") {
    GOSSAMER_ASSIGN_OR_RETURN(auto text, required_member<std::string>(node, "text", string_of));
    return Content(TextContent{std::move(text)});
  }
  if (type == "system_content") {
    GOSSAMER_ASSIGN_OR_RETURN(auto content, system_content_of(node));
    return Content(std::move(content));
  }
  if (type == "developer_content") {
    GOSSAMER_ASSIGN_OR_RETURN(auto content, developer_content_of(node));
    return Content(std::move(content));
  }
  return make_error(
      ErrorCode::kInvalidArgument,
      R"({}: must be "text", "system_content" or "developer_content", not "{}")",
      node.path_of("type"),
      type
  );
}

Result<std::vector<Content>> contents_of(const Node& node) {
  if (node.value->is_string()) {
    return std::vector<Content>{TextContent{node.value->get<std::string>()}};
  }
  if (!node.value->is_array()) return node.must_be("a string or a list of content items");
  return list_of<Content>(node, content_of);
}

Result<Role> role_of(const Node& node) {
  if (node.value->is_string()) {
    if (const auto role = role_from_name(node.value->get<std::string>())) return *role;
  }
  return node.must_be(R"("user", "assistant", "system", "developer" or "tool")");
}

Result<Message> message_of(const Node& node) {
  if (!node.value->is_object()) return node.must_be("an object");
  Message message;
  GOSSAMER_ASSIGN_OR_RETURN(message.role, required_member<Role>(node, "role", role_of));
  GOSSAMER_ASSIGN_OR_RETURN(message.name, optional_string(node, "name"));
  GOSSAMER_ASSIGN_OR_RETURN(message.recipient, optional_string(node, "recipient"));
  GOSSAMER_ASSIGN_OR_RETURN(
      message.content, required_member<std::vector<Content>>(node, "content", contents_of)
  );
  GOSSAMER_ASSIGN_OR_RETURN(message.channel, optional_string(node, "channel"));
  GOSSAMER_ASSIGN_OR_RETURN(message.content_type, optional_string(node, "content_type"));
  return message;
}

void put(Json& object, const char* key, const std::optional<std::string>& value) {
  if (value) object[key] = *value;
}

/// The JSON of a text that holds JSON, or the text itself when it does not.
Json json_or_text(const std::string& text) {
  const auto value = parse_json(text, "schema");
  return value.ok() ? *value : Json(text);
}

Json to_json(const Tools& tools) {
  Json object = Json::object();
  for (const auto& [key, tool] : tools) {
    Json item = {{"name", tool.name}};
    put(item, "description", tool.description);
    item["tools"] = Json::array();
    for (const ToolFunction& function : tool.functions) {
      Json described = {{"name", function.name}, {"description", function.description}};
      if (function.parameters) described["parameters"] = json_or_text(*function.parameters);
      item["tools"].push_back(std::move(described));
    }
    object[key] = std::move(item);
  }
  return object;
}

Json to_json(const TextContent& content) {
  return {{"type", "text"}, {"text", content.text}};
}

Json to_json(const SystemContent& content) {
  Json object = {{"type", "system_content"}};
  put(object, "model_identity", content.model_identity);
  if (content.reasoning_effort) {
    object["reasoning_effort"] = kEffortNames[static_cast<std::size_t>(*content.reasoning_effort)];
  }
  if (content.tools) object["tools"] = to_json(*content.tools);
  put(object, "conversation_start_date", content.conversation_start_date);
  put(object, "knowledge_cutoff", content.knowledge_cutoff);
  if (content.channel_config) {
    object["channel_config"] = {
        {"valid_channels", content.channel_config->valid_channels},
        {"channel_required", content.channel_config->channel_required}};
  }
  return object;
}

Json to_json(const DeveloperContent& content) {
  Json object = {{"type", "developer_content"}};
  put(object, "instructions", content.instructions);
  if (content.tools) object["tools"] = to_json(*content.tools);
  for (const ResponseFormat& format : content.response_formats) {
    Json item = {{"name", format.name}};
    put(item, "description", format.description);
    item["schema"] = json_or_text(format.schema);
    object["response_formats"].push_back(std::move(item));
  }
  return object;
}

Json to_json(const std::vector<Content>& contents) {
  if (contents.size() == 1) {
    if (const auto* text = std::get_if<TextContent>(&contents.front())) return text->text;
  }
  Json list = Json::array();
  for (const Content& item : contents) {
    list.push_back(std::visit([](const auto& content) { return to_json(content); }, item));
  }
  return list;
}

Json to_json(const Message& message) {
  Json object = {{"role", role_name(message.role)}};
  put(object, "name", message.name);
  put(object, "recipient", message.recipient);
  object["content"] = to_json(message.content);
  put(object, "channel", message.channel);
  put(object, "content_type", message.content_type);
  return object;
}

}  // namespace

Result<Conversation> conversation_from_json(std::string_view json) {
  GOSSAMER_ASSIGN_OR_RETURN(const Json value, parse_json(json, "conversation"));
  const Node root{&value, ""};
  if (!value.is_object()) return root.must_be(R"(an object: {"messages": […]})");
  Conversation conversation;
  const auto messages = [](const Node& list) { return list_of<Message>(list, message_of); };
  GOSSAMER_ASSIGN_OR_RETURN(
      conversation.messages, required_member<std::vector<Message>>(root, "messages", messages)
  );
  return conversation;
}

Result<Message> message_from_json(std::string_view json) {
  GOSSAMER_ASSIGN_OR_RETURN(const Json value, parse_json(json, "message"));
  return message_of({&value, ""});
}

std::string conversation_to_json(const Conversation& conversation) {
  Json list = Json::array();
  for (const Message& message : conversation.messages) list.push_back(to_json(message));
  return compact_json({{"messages", std::move(list)}});
}

std::string message_to_json(const Message& message) {
  return compact_json(to_json(message));
}

}  // namespace gossamer::harmony
