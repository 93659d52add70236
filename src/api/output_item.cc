#include "api/output_item.h"

#include <utility>

#include "api/responses_input.h"

namespace gossamer::api {
namespace {

Json parsed(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  return json.is_object() ? json : Json::object();
}

/// What a call of the browser does, from the function's name and its arguments.
Json search_action(const OutputItem& item) {
  const Json arguments = parsed(item.text);
  if (item.name == "open") {
    const std::string url = text_member(arguments, "id");
    return {{"type", "open_page"}, {"url", url.empty() ? Json() : Json(url)}};
  }
  if (item.name == "find") {
    return {{"type", "find_in_page"}, {"pattern", text_member(arguments, "pattern")}, {"url", ""}};
  }
  const std::string query = text_member(arguments, "query");
  Json action = {{"type", "search"}};
  if (!query.empty()) action["query"] = query;
  return action;
}

Json reasoning_json(const OutputItem& item, Json content) {
  Json json = {
      {"id", item.id},
      {"type", "reasoning"},
      {"summary", Json::array()},
      {"content", std::move(content)},
      {"status", item.status}};
  if (!item.sealed.empty()) json["encrypted_content"] = item.sealed;
  return json;
}

Json message_json(const OutputItem& item, Json content) {
  return {
      {"id", item.id},
      {"type", "message"},
      {"status", item.status},
      {"content", std::move(content)},
      {"role", "assistant"},
      {"phase", item.phase}};
}

Json client_call_json(const OutputItem& item) {
  const bool is_function = item.kind == OutputKind::kFunctionCall;
  Json json = {
      {"id", item.id},
      {"type", is_function ? "function_call" : "custom_tool_call"},
      {"status", item.status},
      {is_function ? "arguments" : "input", item.text},
      {"call_id", item.call_id},
      {"name", item.name}};
  if (!item.name_space.empty()) json["namespace"] = item.name_space;
  return json;
}

Json mcp_call_json(const OutputItem& item) {
  const bool failed = item.status == "failed";
  const bool is_over = failed || item.status == "completed";
  Json error;
  if (failed) {
    error = {
        {"type", "mcp_tool_execution_error"},
        {"content", Json::array({{{"type", "text"}, {"text", item.result}}})}};
  }
  return {
      {"id", item.id},
      {"type", "mcp_call"},
      {"status", item.status},
      {"approval_request_id", nullptr},
      {"arguments", item.text},
      {"error", std::move(error)},
      {"name", item.name},
      {"output", is_over && !failed ? Json(item.result) : Json()},
      {"server_label", item.name_space}};
}

Json code_call_json(const OutputItem& item) {
  const bool is_over = item.status == "completed" || item.status == "failed";
  Json outputs;
  if (is_over) outputs = Json::array({{{"type", "logs"}, {"logs", item.result}}});
  return {
      {"id", item.id},
      {"type", "code_interpreter_call"},
      {"status", item.status},
      {"code", item.text},
      {"container_id", "local"},
      {"outputs", std::move(outputs)}};
}

}  // namespace

std::string_view id_prefix(OutputKind kind) {
  switch (kind) {
    case OutputKind::kReasoning:
      return "rs";
    case OutputKind::kMessage:
      return "msg";
    case OutputKind::kFunctionCall:
      return "fc";
    case OutputKind::kCustomToolCall:
      return "ctc";
    case OutputKind::kMcpCall:
      return "mcp";
    case OutputKind::kWebSearchCall:
      return "ws";
    case OutputKind::kCodeInterpreterCall:
      break;
  }
  return "ci";
}

OutputKind kind_of_server_call(std::string_view recipient) {
  const std::string_view tool = recipient.substr(0, recipient.find('.'));
  if (tool == "browser") return OutputKind::kWebSearchCall;
  if (tool == "python") return OutputKind::kCodeInterpreterCall;
  return OutputKind::kMcpCall;
}

Json part_json(const OutputItem& item, std::string_view text, const Json& logprobs) {
  if (item.kind == OutputKind::kReasoning) return {{"type", "reasoning_text"}, {"text", text}};
  return {
      {"type", "output_text"},
      {"annotations", Json::array()},
      {"logprobs", logprobs},
      {"text", text}};
}

Json item_json(const OutputItem& item) {
  switch (item.kind) {
    case OutputKind::kReasoning:
      return reasoning_json(item, Json::array({part_json(item, item.text, item.logprobs)}));
    case OutputKind::kMessage:
      return message_json(item, Json::array({part_json(item, item.text, item.logprobs)}));
    case OutputKind::kFunctionCall:
    case OutputKind::kCustomToolCall:
      return client_call_json(item);
    case OutputKind::kMcpCall:
      return mcp_call_json(item);
    case OutputKind::kWebSearchCall:
      return {
          {"id", item.id},
          {"type", "web_search_call"},
          {"status", item.status == "incomplete" ? "failed" : item.status},
          {"action", search_action(item)}};
    case OutputKind::kCodeInterpreterCall:
      break;
  }
  return code_call_json(item);
}

Json added_item_json(const OutputItem& item) {
  if (item.kind == OutputKind::kReasoning) return reasoning_json(item, Json::array());
  if (item.kind == OutputKind::kMessage) return message_json(item, Json::array());
  return item_json(item);
}

}  // namespace gossamer::api
