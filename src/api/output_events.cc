#include "api/output_events.h"

#include <utility>

namespace gossamer::api {
namespace {

bool has_part(const OutputItem& item) {
  return item.kind == OutputKind::kReasoning || item.kind == OutputKind::kMessage;
}

/// What begins the types of events about calls of the server's tools; empty for other items.
std::string_view server_call_events(OutputKind kind) {
  switch (kind) {
    case OutputKind::kMcpCall:
      return "response.mcp_call";
    case OutputKind::kWebSearchCall:
      return "response.web_search_call";
    case OutputKind::kCodeInterpreterCall:
      return "response.code_interpreter_call";
    default:
      return {};
  }
}

/// What begins the types of the .delta and .done events of an item's text; empty when it has none.
std::string_view text_events(OutputKind kind) {
  switch (kind) {
    case OutputKind::kReasoning:
      return "response.reasoning_text";
    case OutputKind::kMessage:
      return "response.output_text";
    case OutputKind::kFunctionCall:
      return "response.function_call_arguments";
    case OutputKind::kCustomToolCall:
      return "response.custom_tool_call_input";
    case OutputKind::kMcpCall:
      return "response.mcp_call_arguments";
    case OutputKind::kCodeInterpreterCall:
      return "response.code_interpreter_call_code";
    case OutputKind::kWebSearchCall:
      break;
  }
  return {};
}

/// What a .done event calls the text.
const char* text_field(OutputKind kind) {
  switch (kind) {
    case OutputKind::kFunctionCall:
    case OutputKind::kMcpCall:
      return "arguments";
    case OutputKind::kCustomToolCall:
      return "input";
    case OutputKind::kCodeInterpreterCall:
      return "code";
    default:
      return "text";
  }
}

// Of an event; the most that one with each token has is seven.
constexpr std::size_t kUsualFields = 8;

}  // namespace

std::string to_sse(const StreamEvent& event) {
  const std::string data = to_text(event.json);
  return "event: " + event.type + "\ndata: " + data + "\n\n";
}

Json& EventWriter::add(std::string type) {
  StreamEvent& event = events_.emplace_back(StreamEvent{std::move(type), Json::object()});
  auto& fields = fields_of(event.json);
  fields.reserve(kUsualFields);
  fields.emplace_back("type", event.type);
  fields.emplace_back("sequence_number", next_number_++);
  return event.json;
}

Json& EventWriter::add_for(const OutputItem& item, std::string type) {
  Json& event = add(std::move(type));
  auto& fields = fields_of(event);
  fields.emplace_back("item_id", item.id);
  fields.emplace_back("output_index", item.index);
  if (has_part(item)) fields.emplace_back("content_index", 0);
  return event;
}

void EventWriter::begin(const OutputItem& item) {
  Json& added = add("response.output_item.added");
  added["output_index"] = item.index;
  added["item"] = added_item_json(item);
  if (has_part(item)) {
    add_for(item, "response.content_part.added")["part"] = part_json(item, "", Json::array());
  }
  const std::string_view call = server_call_events(item.kind);
  if (!call.empty()) add_for(item, std::string(call) + ".in_progress");
}

void EventWriter::add_text(const OutputItem& item, std::string_view delta, const Json& logprobs) {
  const std::string_view events = text_events(item.kind);
  if (events.empty()) return;
  auto& fields = fields_of(add_for(item, std::string(events) + ".delta"));
  fields.emplace_back("delta", delta);
  if (item.kind == OutputKind::kMessage) fields.emplace_back("logprobs", logprobs);
}

void EventWriter::end_text(const OutputItem& item) {
  const std::string_view events = text_events(item.kind);
  if (!events.empty()) {
    Json& event = add_for(item, std::string(events) + ".done");
    event[text_field(item.kind)] = item.text;
    if (item.kind == OutputKind::kMessage) event["logprobs"] = item.logprobs;
    if (item.kind == OutputKind::kFunctionCall) event["name"] = item.name;
  }
  if (has_part(item)) {
    add_for(item, "response.content_part.done")["part"] = part_json(item, item.text, item.logprobs);
  }
  if (item.status == "incomplete") return;
  if (item.kind == OutputKind::kWebSearchCall) add_for(item, "response.web_search_call.searching");
  if (item.kind == OutputKind::kCodeInterpreterCall) {
    add_for(item, "response.code_interpreter_call.interpreting");
  }
}

void EventWriter::end(const OutputItem& item) {
  const std::string call(server_call_events(item.kind));
  if (!call.empty() && item.status != "incomplete") {
    const bool failed = item.kind == OutputKind::kMcpCall && item.status == "failed";
    add_for(item, call + (failed ? ".failed" : ".completed"));
  }
  Json& done = add("response.output_item.done");
  done["output_index"] = item.index;
  done["item"] = item_json(item);
}

}  // namespace gossamer::api
