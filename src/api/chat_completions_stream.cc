#include "api/chat_completions_stream.h"

#include <utility>
#include <variant>

#include "api/ids.h"
#include "api/logprobs.h"

namespace gossamer::api {
namespace {

using chat::MessageKind;

constexpr std::string_view kEmptyLine = "\n\n";

Json call_delta(std::size_t index, const Json& fields) {
  Json call = {{"index", index}};
  call.update(fields);
  return {{"tool_calls", Json::array({std::move(call)})}};
}

Json reasoning_delta(const std::string& text) {
  Json delta = Json::object();
  auto& fields = fields_of(delta);
  fields.reserve(2);
  fields.emplace_back("reasoning", text);
  fields.emplace_back("reasoning_content", text);
  return delta;
}

}  // namespace

std::string_view finish_reason(chat::TurnEnd end) {
  switch (end) {
    case chat::TurnEnd::kFunctionCall:
      return "tool_calls";
    case chat::TurnEnd::kLength:
      return "length";
    case chat::TurnEnd::kAnswer:
      break;
  }
  return "stop";
}

ChatCompletionsStream::ChatCompletionsStream(
    const ChatCompletionsRequest& request,
    const tokenizer::Tokenizer& tokenizer,
    CompletionHead head
)
    : request_(request), tokenizer_(tokenizer), head_(std::move(head)) {}

Json ChatCompletionsStream::chunk(Json delta) const {
  Json choices = Json::array();
  auto& choice = fields_of(choices.emplace_back(Json::object()));
  choice.reserve(4);
  choice.emplace_back("index", 0);
  choice.emplace_back("delta", std::move(delta));
  choice.emplace_back("logprobs", nullptr);
  choice.emplace_back("finish_reason", nullptr);
  Json json = head_.json("chat.completion.chunk");
  auto& fields = fields_of(json);
  fields.emplace_back("choices", std::move(choices));
  if (request_.include_usage) fields.emplace_back("usage", nullptr);
  return json;
}

Json ChatCompletionsStream::begin() const {
  return chunk({{"role", "assistant"}, {"content", ""}});
}

std::vector<Json> ChatCompletionsStream::push(std::span<const chat::Event> events) {
  std::vector<Json> chunks;
  for (const chat::Event& event : events) {
    if (const auto* started = std::get_if<chat::MessageStarted>(&event)) {
      start(*started, chunks);
    } else if (const auto* added = std::get_if<chat::TextAdded>(&event)) {
      add(*added, chunks);
    } else if (const auto* ended = std::get_if<chat::MessageEnded>(&event)) {
      end(*ended, chunks);
    }
  }
  return chunks;
}

void ChatCompletionsStream::start(const chat::MessageStarted& event, std::vector<Json>& chunks) {
  kind_ = event.kind;
  const bool follows = kind_ == MessageKind::kReasoning ? has_reasoning_ : has_content_;
  separator_ = follows ? kEmptyLine : "";
  if (kind_ != MessageKind::kFunctionCall) return;
  call_.emplace(Call{num_calls_++, request_.tools.name_of(event.recipient), {}});
  const bool is_custom = call_->name.kind == ToolKind::kCustom;
  const Json body = {{"name", call_->name.name}, {is_custom ? "input" : "arguments", ""}};
  const char* type = is_custom ? "custom" : "function";
  chunks.push_back(
      chunk(call_delta(call_->index, {{"id", new_id("call")}, {"type", type}, {type, body}}))
  );
}

void ChatCompletionsStream::add(const chat::TextAdded& event, std::vector<Json>& chunks) {
  if (kind_ == MessageKind::kToolCall) return;
  if (kind_ == MessageKind::kFunctionCall) {
    if (call_) add_arguments(*call_, event.text, chunks);
    return;
  }
  const std::string text = std::exchange(separator_, "") + event.text;
  if (kind_ == MessageKind::kReasoning) {
    has_reasoning_ = true;
    chunks.push_back(chunk(reasoning_delta(text)));
    return;
  }
  has_content_ = true;
  Json delta = Json::object();
  delta["content"] = text;
  Json json = chunk(std::move(delta));
  if (request_.logprobs) {
    json["choices"][0]["logprobs"] = {
        {"content", logprobs_json(event.tokens, tokenizer_)}, {"refusal", nullptr}};
  }
  chunks.push_back(std::move(json));
}

void ChatCompletionsStream::add_arguments(
    Call& call, const std::string& text, std::vector<Json>& chunks
) const {
  if (call.name.kind == ToolKind::kFunction) {
    chunks.push_back(chunk(call_delta(call.index, {{"function", {{"arguments", text}}}})));
    return;
  }
  const std::string input = call.input.push(text);
  if (input.empty()) return;
  chunks.push_back(chunk(call_delta(call.index, {{"custom", {{"input", input}}}})));
}

void ChatCompletionsStream::end(const chat::MessageEnded& /*event*/, std::vector<Json>& chunks) {
  if (call_ && call_->name.kind == ToolKind::kCustom) {
    const std::string rest = call_->input.finish();
    if (!rest.empty()) {
      chunks.push_back(chunk(call_delta(call_->index, {{"custom", {{"input", rest}}}})));
    }
  }
  call_.reset();
}

std::vector<Json> ChatCompletionsStream::finish(chat::TurnEnd end, const chat::TurnUsage& usage)
    const {
  std::vector<Json> chunks = {chunk(Json::object())};
  chunks.back()["choices"][0]["finish_reason"] = finish_reason(end);
  if (!request_.include_usage) return chunks;
  Json last = head_.json("chat.completion.chunk");
  last["choices"] = Json::array();
  last["usage"] = completion_usage_json(usage);
  chunks.push_back(std::move(last));
  return chunks;
}

// The whole.

void ChatCompletion::add(const Json& chunk) {
  if (chunk["choices"].empty()) return;
  const Json& choice = chunk["choices"][0];
  const Json& delta = choice["delta"];
  if (delta.contains("reasoning")) reasoning_ += delta["reasoning"].get_ref<const std::string&>();
  if (delta.contains("content") && !delta.contains("role")) {
    if (!content_) content_.emplace();
    *content_ += delta["content"].get_ref<const std::string&>();
  }
  if (delta.contains("tool_calls")) add_call(delta["tool_calls"][0]);
  if (!choice["logprobs"].is_null()) {
    has_logprobs_ = true;
    for (const Json& token : choice["logprobs"]["content"]) logprobs_.push_back(token);
  }
  if (!choice["finish_reason"].is_null()) finish_reason_ = choice["finish_reason"];
}

void ChatCompletion::add_call(const Json& delta) {
  if (delta.contains("id")) {
    Json call = delta;
    call.erase("index");
    calls_.push_back(std::move(call));
    return;
  }
  const char* body = delta.contains("custom") ? "custom" : "function";
  const char* text = delta.contains("custom") ? "input" : "arguments";
  calls_.back()[body][text].get_ref<std::string&>() +=
      delta[body][text].get_ref<const std::string&>();
}

Json ChatCompletion::json(const CompletionHead& head, const chat::TurnUsage& usage) const {
  Json message = {{"role", "assistant"}, {"content", nullptr}, {"refusal", nullptr}};
  if (content_) message["content"] = *content_;
  if (!content_ && calls_.empty()) message["content"] = "";
  if (!reasoning_.empty()) message.update(reasoning_delta(reasoning_));
  if (!calls_.empty()) message["tool_calls"] = calls_;
  Json logprobs;
  if (has_logprobs_) logprobs = {{"content", logprobs_}, {"refusal", nullptr}};
  Json choice = {
      {"index", 0},
      {"message", std::move(message)},
      {"logprobs", std::move(logprobs)},
      {"finish_reason", finish_reason_}};
  Json json = head.json("chat.completion");
  json["choices"] = Json::array({std::move(choice)});
  json["usage"] = completion_usage_json(usage);
  return json;
}

}  // namespace gossamer::api
