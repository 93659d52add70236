#include "stream_validator.h"

#include <fmt/format.h>

#include <array>

namespace gossamer::api {
namespace {

struct TextField {
  std::string_view events;  // before ".delta" and ".done"
  std::string_view item_type;
  const char* field;  // of the item, and of the .done event
};

constexpr std::array<TextField, 6> kTextFields = {{
    {"response.output_text", "message", "text"},
    {"response.reasoning_text", "reasoning", "text"},
    {"response.function_call_arguments", "function_call", "arguments"},
    {"response.custom_tool_call_input", "custom_tool_call", "input"},
    {"response.mcp_call_arguments", "mcp_call", "arguments"},
    {"response.code_interpreter_call_code", "code_interpreter_call", "code"},
}};

const std::set<std::string>& status_events() {
  static const std::set<std::string> events = {
      "response.mcp_call.in_progress",
      "response.mcp_call.completed",
      "response.mcp_call.failed",
      "response.web_search_call.in_progress",
      "response.web_search_call.searching",
      "response.web_search_call.completed",
      "response.code_interpreter_call.in_progress",
      "response.code_interpreter_call.interpreting",
      "response.code_interpreter_call.completed"};
  return events;
}

const std::set<std::string>& terminal_events() {
  static const std::set<std::string> events = {
      "response.completed", "response.incomplete", "response.failed"};
  return events;
}

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_string(const Json& object, const char* key) {
  return object.contains(key) && object[key].is_string();
}

/// What an item is known by; two items of a response share none of it.
std::vector<std::string> identities_of(const Json& item) {
  std::vector<std::string> names = {"id:" + text_at(item, "id")};
  const std::string type = text_at(item, "type");
  if (type == "function_call" || type == "custom_tool_call") {
    names.push_back("call:" + text_at(item, "call_id"));
  }
  return names;
}

/// What an item must have to be of its type.
bool is_well_formed(const Json& item) {
  if (text_at(item, "id").empty()) return false;
  const std::string type = text_at(item, "type");
  if (type == "reasoning") return item["summary"].is_array() && item["content"].is_array();
  if (type == "message") return item["content"].is_array() && text_at(item, "role") == "assistant";
  if (type == "function_call") {
    return !text_at(item, "call_id").empty() && is_string(item, "name") &&
           is_string(item, "arguments");
  }
  if (type == "custom_tool_call") {
    return !text_at(item, "call_id").empty() && is_string(item, "name") && is_string(item, "input");
  }
  if (type == "mcp_call") return is_string(item, "server_label") && is_string(item, "arguments");
  if (type == "web_search_call") return item["action"].is_object();
  return type == "code_interpreter_call" && is_string(item, "code") &&
         is_string(item, "container_id");
}

}  // namespace

void StreamValidator::fail(const std::string& what) {
  if (problem_.empty()) problem_ = fmt::format("event {}: {}", next_number_ - 1, what);
}

void StreamValidator::take(const StreamEvent& event) {
  const Json json = Json::parse(event.data);
  if (json.value("type", "") != event.type) fail("its type is not that of the SSE line");
  if (json.value("sequence_number", -1) != next_number_++) fail("sequence_number");
  if (is_over_) fail(event.type + " after the end");
  const bool is_lifecycle = json.contains("response");
  if (!has_begun_ && event.type != "response.created") fail("began with " + event.type);
  if (has_begun_ && event.type == "response.created") fail("created twice");
  has_begun_ = true;
  if (is_lifecycle) {
    take_lifecycle(event.type, json);
  } else if (event.type == "response.output_item.added") {
    take_added(json);
  } else if (event.type == "response.output_item.done") {
    take_done(json);
  } else {
    take_item_event(event.type, json);
  }
}

void StreamValidator::take_lifecycle(const std::string& type, const Json& event) {
  const Json& response = event["response"];
  for (const char* key :
       {"id",
        "object",
        "created_at",
        "status",
        "error",
        "incomplete_details",
        "instructions",
        "metadata",
        "model",
        "output",
        "parallel_tool_calls",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
        "usage"}) {
    if (!response.contains(key)) fail(fmt::format("{} has no {}", type, key));
  }
  if (!response_.is_null() && text_at(response, "id") != text_at(response_, "id"))
    fail("another id");
  if (!response["output"].is_array()) return fail("output is no array");
  if (response["output"].size() != items_.size()) return fail("output lacks items");
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (is_done_[i] && response["output"][i].dump() != items_[i].dump()) {
      fail(fmt::format("output[{}] is not what was done", i));
    } else if (identities_of(response["output"][i]) != identities_of(items_[i])) {
      fail(fmt::format("output[{}] is another item", i));
    }
    items_[i] = response["output"][i];
  }
  response_ = response;
  if (terminal_events().count(type) == 0) {
    if (text_at(response, "status") != "in_progress") fail("status of " + type);
    return;
  }
  is_over_ = true;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (!is_done_[i]) fail(fmt::format("item {} was never done", i));
  }
  if (response["usage"].is_null()) fail("no usage at the end");
}

void StreamValidator::take_added(const Json& event) {
  const Json& item = event["item"];
  if (event["output_index"] != items_.size()) return fail("output_index of added");
  if (!is_well_formed(item)) fail("added " + item.dump());
  for (const std::string& name : identities_of(item)) {
    if (!identities_.insert(name).second) fail("twice " + name);
  }
  if (text_at(item, "status") != "in_progress") fail("status of added");
  items_.push_back(item);
  is_done_.push_back(false);
}

Json* StreamValidator::item_at(const Json& event) {
  const std::size_t index = event.value("output_index", std::size_t{9999});
  if (index >= items_.size()) {
    fail("missing output at index");
    return nullptr;
  }
  if (is_done_[index]) fail("event for an item that is done");
  return &items_[index];
}

void StreamValidator::take_done(const Json& event) {
  Json* item = item_at(event);
  if (item == nullptr) return;
  const Json& done = event["item"];
  if (!is_well_formed(done)) fail("done " + done.dump());
  if (identities_of(done) != identities_of(*item)) fail("done is another item");
  if (text_at(done, "type") != text_at(*item, "type")) fail("done is of another type");
  if (text_at(done, "status") == "in_progress") fail("done is in progress");
  const std::size_t index = event["output_index"].get<std::size_t>();
  if (text_at(done, "type") != "web_search_call" && !text_is_done_[index])
    fail("text was not done");
  for (const char* key : {"arguments", "input", "code"}) {
    if (item->contains(key) && (*item)[key].dump() != done[key].dump())
      fail("done has another text");
  }
  if (item->contains("content") && (*item)["content"].dump() != done["content"].dump()) {
    fail("done has another content");
  }
  *item = done;
  is_done_[index] = true;
}

void StreamValidator::take_item_event(const std::string& type, const Json& event) {
  Json* item = item_at(event);
  if (item == nullptr) return;
  if (text_at(event, "item_id") != text_at(*item, "id")) fail("item_id");
  if (type.starts_with("response.content_part.")) return take_part(type, event);
  if (status_events().count(type) == 0) return take_text(type, event, *item);
  if (!type.starts_with("response." + text_at(*item, "type"))) fail("status event of another type");
}

void StreamValidator::take_part(const std::string& type, const Json& event) {
  Json& content = (*item_at(event))["content"];
  if (event["content_index"] != 0) fail("content_index");
  const std::string part_type = text_at(event["part"], "type");
  const bool is_message = text_at(*item_at(event), "type") == "message";
  if (part_type != (is_message ? "output_text" : "reasoning_text")) fail("type of part");
  if (is_message && !event["part"]["annotations"].is_array()) fail("part without annotations");
  if (type == "response.content_part.added") {
    if (!content.empty()) return fail("part added twice");
    content.push_back(event["part"]);
  } else if (content.empty() || content[0].dump() != event["part"].dump()) {
    fail("part done is not what was streamed");
  }
}

void StreamValidator::take_text(const std::string& type, const Json& event, Json& item) {
  for (const TextField& field : kTextFields) {
    const bool is_delta = type == std::string(field.events) + ".delta";
    if (!is_delta && type != std::string(field.events) + ".done") continue;
    if (text_at(item, "type") != field.item_type) fail(type + " for another type of item");
    const bool has_part = field.field == std::string_view("text");
    if (has_part && (item["content"].empty() || event["content_index"] != 0)) {
      return fail("missing content at index");
    }
    Json& holder = has_part ? item["content"][0] : item;
    const std::size_t index = event["output_index"].get<std::size_t>();
    if (text_is_done_[index]) fail(type + " after done");
    if (is_delta) {
      if (text_at(event, "delta").empty()) fail("empty delta");
      holder[field.field] = text_at(holder, field.field) + text_at(event, "delta");
      for (const Json& entry : event.value("logprobs", Json::array()))
        holder["logprobs"].push_back(entry);
      return;
    }
    text_is_done_[index] = true;
    if (text_at(event, field.field) != text_at(holder, field.field))
      fail(type + " has another text");
    if (field.item_type == "function_call" && text_at(event, "name") != text_at(item, "name"))
      fail("name");
    if (field.item_type == "message" && event["logprobs"].dump() != holder["logprobs"].dump())
      fail("logprobs");
    return;
  }
  fail("unknown event " + type);
}

std::string StreamValidator::problem() const {
  if (!problem_.empty()) return problem_;
  return is_over_ ? "" : "the stream has no end";
}

}  // namespace gossamer::api
