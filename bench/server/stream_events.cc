#include "bench/server/stream_events.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace gossamer::load {

using Json = nlohmann::json;

namespace {

std::string_view skip_spaces(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return text;
}

/// Goes on behind the next `key`, at whatever depth it is: to its value. Empty when there is none.
/// `key` has its quotes: within a string they would be escaped, so before a colon it is a key.
std::string_view find_value(std::string_view json, std::string_view key) {
  for (auto at = json.find(key); at != std::string_view::npos; at = json.find(key, at + 1)) {
    const std::string_view rest = skip_spaces(json.substr(at + key.size()));
    if (rest.starts_with(':')) return skip_spaces(rest.substr(1));
  }
  return {};
}

/// Whether a key stands there with a value that is not null.
bool has_value(std::string_view json, std::string_view key) {
  auto value = find_value(json, key);
  while (value.starts_with("null")) value = find_value(value, key);
  return !value.empty();
}

/// Whether an object begins with a string of the model's, and not an empty one.
bool begins_with_text(std::string_view object) {
  if (!object.starts_with('{')) return false;
  object = skip_spaces(object.substr(1));
  for (const std::string_view key : {"\"content\"", "\"reasoning\""}) {
    if (!object.starts_with(key)) continue;
    const std::string_view value = find_value(object, key);
    return value.starts_with('"') && !value.starts_with("\"\"");
  }
  return false;
}

/// What Responses call the events that tell of failures.
bool is_failure(std::string_view type) {
  return type == "response.failed" || type == "error";
}

/// Whether an event is to be parsed: those that tell nothing but text are nearly all, and to parse
/// them would take most of the time of this program. What Responses call an event tells whether it
/// is text; a chunk of Chat Completions has no name.
enum class Glance { kText, kNothing, kUnclear };

Glance glance_at(const Event& event) {
  if (has_value(event.data, "\"usage\"") || has_value(event.data, "\"error\"")) {
    return Glance::kUnclear;
  }
  if (event.name.ends_with(".delta")) return Glance::kText;
  if (!event.name.empty() && !is_failure(event.name)) return Glance::kNothing;
  const bool is_text = begins_with_text(find_value(event.data, "\"delta\""));
  return is_text ? Glance::kText : Glance::kUnclear;
}

bool is_filled(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return false;
  return !found->is_string() || !found->get_ref<const std::string&>().empty();
}

bool carries_text(const Json& event) {
  if (event.contains("type"))
    return event["type"].get_ref<const std::string&>().ends_with(".delta");
  if (!event.contains("choices")) return false;
  return std::any_of(event["choices"].begin(), event["choices"].end(), [](const Json& choice) {
    const Json& delta = choice.at("delta");
    return is_filled(delta, "content") || is_filled(delta, "reasoning") ||
           is_filled(delta, "tool_calls");
  });
}

/// Of Chat Completions it is the event's, of Responses the response's.
std::optional<std::int64_t> output_tokens(const Json& event) {
  if (!is_filled(event, "usage")) {
    return event.contains("response") ? output_tokens(event["response"]) : std::nullopt;
  }
  const Json& usage = event["usage"];
  return usage.value("output_tokens", usage.value("completion_tokens", std::int64_t{0}));
}

}  // namespace

EventReader::EventReader(EventHandler on_event) : on_event_(std::move(on_event)) {}

void EventReader::push(std::string_view bytes) {
  rest_ += bytes;
  std::size_t begin = 0;
  for (auto end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', begin)) {
    std::string_view line(rest_.data() + begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    take_line(line);
    begin = end + 1;
  }
  rest_.erase(0, begin);
}

void EventReader::take_line(std::string_view line) {
  if (line.empty()) {
    if (has_data_) on_event_({name_, data_});
    name_.clear();
    data_.clear();
    has_data_ = false;
    return;
  }
  const std::size_t colon = std::min(line.find(':'), line.size());
  std::string_view value = line.substr(std::min(colon + 1, line.size()));
  if (value.starts_with(' ')) value.remove_prefix(1);
  const std::string_view field = line.substr(0, colon);
  if (field == "event") name_ = value;
  if (field == "data") take_data(value);
}

void EventReader::take_data(std::string_view data) {
  if (std::exchange(has_data_, true)) data_ += '\n';
  data_ += data;
}

bool take_event(const Event& event, Outcome& outcome) {
  if (event.data == "[DONE]") return false;
  const Glance glance = glance_at(event);
  if (glance != Glance::kUnclear) return glance == Glance::kText;
  const Json json = Json::parse(event.data);
  if (is_filled(json, "error") || is_failure(json.value("type", ""))) {
    outcome.failure = event.data;
  }
  if (const auto tokens = output_tokens(json)) outcome.output_tokens = tokens;
  return carries_text(json);
}

}  // namespace gossamer::load
