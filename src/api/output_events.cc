#include "api/output_events.h"

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

// Of an event that comes with each token; what is longer grows.
constexpr std::size_t kUsualBytes = 256;

}  // namespace

ObjectText EventWriter::add(std::string_view type) {
  StreamEvent& event = events_.emplace_back(StreamEvent{std::string(type), {}});
  event.data.reserve(kUsualBytes);
  ObjectText data(event.data);
  data.add("type", type).add("sequence_number", next_number_++);
  return data;
}

ObjectText EventWriter::add_for(const OutputItem& item, std::string_view type) {
  ObjectText data = add(type);
  data.add("item_id", item.id).add("output_index", static_cast<std::int64_t>(item.index));
  if (has_part(item)) data.add("content_index", 0);
  return data;
}

void EventWriter::begin(const OutputItem& item) {
  add("response.output_item.added")
      .add("output_index", static_cast<std::int64_t>(item.index))
      .add_json("item", added_item_json(item));
  if (has_part(item)) {
    add_for(item, "response.content_part.added")
        .add_json("part", part_json(item, "", Json::array()));
  }
  const std::string_view call = server_call_events(item.kind);
  if (!call.empty()) add_for(item, std::string(call) + ".in_progress");
}

void EventWriter::add_text(const OutputItem& item, std::string_view delta, const Json& logprobs) {
  const std::string_view events = text_events(item.kind);
  if (events.empty()) return;
  ObjectText data = add_for(item, std::string(events) + ".delta");
  data.add("delta", delta);
  if (item.kind != OutputKind::kMessage) return;
  data.begin("logprobs") += logprobs.empty() ? "[]" : to_text(logprobs);
}

void EventWriter::end_text(const OutputItem& item) {
  const std::string_view events = text_events(item.kind);
  if (!events.empty()) {
    ObjectText data = add_for(item, std::string(events) + ".done");
    data.add(text_field(item.kind), item.text);
    if (item.kind == OutputKind::kMessage) data.add_json("logprobs", item.logprobs);
    if (item.kind == OutputKind::kFunctionCall) data.add("name", item.name);
  }
  if (has_part(item)) {
    add_for(item, "response.content_part.done")
        .add_json("part", part_json(item, item.text, item.logprobs));
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
  add("response.output_item.done")
      .add("output_index", static_cast<std::int64_t>(item.index))
      .add_json("item", item_json(item));
}

}  // namespace gossamer::api
