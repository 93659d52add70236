#include "api/chat_completions_stream.h"

#include <utility>
#include <variant>

#include "api/ids.h"
#include "api/logprobs.h"
#include "api/object_text.h"

namespace gossamer::api {
namespace {

using chat::MessageKind;
using Kind = ChatChunk::Kind;

constexpr std::string_view kEmptyLine = "\n\n";

// Of a chunk that comes with each token; what is longer grows.
constexpr std::size_t kUsualBytes = 320;

ChatChunk call_chunk(std::size_t index, const Json& fields) {
  Json call = {{"index", index}};
  call.update(fields);
  return {.kind = Kind::kCall, .json = std::move(call)};
}

void append_delta(const ChatChunk& chunk, std::string& text) {
  ObjectText delta(text);
  if (chunk.kind == Kind::kRole) {
    delta.add("role", "assistant").add("content", "");
  } else if (chunk.kind == Kind::kReasoning) {
    delta.add("reasoning", chunk.text).add("reasoning_content", chunk.text);
  } else if (chunk.kind == Kind::kContent) {
    delta.add("content", chunk.text);
  } else if (chunk.kind == Kind::kCall) {
    delta.add_json("tool_calls", Json::array({chunk.json}));
  }
}

Json logprobs_field(Json content) {
  if (content.is_null()) return content;
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

void append_choice(const ChatChunk& chunk, std::string& text) {
  ObjectText choice(text);
  choice.add("index", 0);
  append_delta(chunk, choice.begin("delta"));
  const Json none;
  choice.add_json("logprobs", chunk.kind == Kind::kContent ? logprobs_field(chunk.json) : none);
  choice.add_json("finish_reason", chunk.kind == Kind::kEnd ? chunk.json : none);
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
    const CompletionHead& head
)
    : request_(request), tokenizer_(tokenizer), head_(to_text(head.json("chat.completion.chunk"))) {
  head_.pop_back();
}

std::string ChatCompletionsStream::text_of(const ChatChunk& chunk) const {
  std::string text;
  text.reserve(kUsualBytes);
  append(chunk, text);
  return text;
}

void ChatCompletionsStream::append(const ChatChunk& chunk, std::string& text) const {
  const bool is_usage = chunk.kind == Kind::kUsage;
  ObjectText object(text, head_);
  object.begin("choices") += '[';
  if (!is_usage) append_choice(chunk, text);
  text += ']';
  // Null until it is known.
  if (request_.include_usage) object.add_json("usage", is_usage ? chunk.json : Json());
}

std::vector<ChatChunk> ChatCompletionsStream::push(std::span<const chat::Event> events) {
  std::vector<ChatChunk> chunks;
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

void ChatCompletionsStream::start(
    const chat::MessageStarted& event, std::vector<ChatChunk>& chunks
) {
  kind_ = event.kind;
  const bool follows = kind_ == MessageKind::kReasoning ? has_reasoning_ : has_content_;
  separator_ = follows ? kEmptyLine : "";
  if (kind_ != MessageKind::kFunctionCall) return;
  call_.emplace(Call{num_calls_++, request_.tools.name_of(event.recipient), {}});
  const bool is_custom = call_->name.kind == ToolKind::kCustom;
  const Json body = {{"name", call_->name.name}, {is_custom ? "input" : "arguments", ""}};
  const char* type = is_custom ? "custom" : "function";
  chunks.push_back(call_chunk(call_->index, {{"id", new_id("call")}, {"type", type}, {type, body}})
  );
}

void ChatCompletionsStream::add(const chat::TextAdded& event, std::vector<ChatChunk>& chunks) {
  if (kind_ == MessageKind::kToolCall) return;
  if (kind_ == MessageKind::kFunctionCall) {
    if (call_) add_arguments(*call_, event.text, chunks);
    return;
  }
  const bool is_reasoning = kind_ == MessageKind::kReasoning;
  (is_reasoning ? has_reasoning_ : has_content_) = true;
  ChatChunk& chunk =
      chunks.emplace_back(ChatChunk{is_reasoning ? Kind::kReasoning : Kind::kContent});
  chunk.text = std::exchange(separator_, "") + event.text;
  if (request_.logprobs && !is_reasoning) chunk.json = logprobs_json(event.tokens, tokenizer_);
}

void ChatCompletionsStream::add_arguments(
    Call& call, const std::string& text, std::vector<ChatChunk>& chunks
) const {
  if (call.name.kind == ToolKind::kFunction) {
    chunks.push_back(call_chunk(call.index, {{"function", {{"arguments", text}}}}));
    return;
  }
  const std::string input = call.input.push(text);
  if (input.empty()) return;
  chunks.push_back(call_chunk(call.index, {{"custom", {{"input", input}}}}));
}

void ChatCompletionsStream::end(
    const chat::MessageEnded& /*event*/, std::vector<ChatChunk>& chunks
) {
  if (call_ && call_->name.kind == ToolKind::kCustom) {
    const std::string rest = call_->input.finish();
    if (!rest.empty()) chunks.push_back(call_chunk(call_->index, {{"custom", {{"input", rest}}}}));
  }
  call_.reset();
}

std::vector<ChatChunk> ChatCompletionsStream::finish(
    chat::TurnEnd end, const chat::TurnUsage& usage
) const {
  std::vector<ChatChunk> chunks = {{.kind = Kind::kEnd, .json = finish_reason(end)}};
  if (request_.include_usage) {
    chunks.push_back({.kind = Kind::kUsage, .json = completion_usage_json(usage)});
  }
  return chunks;
}

// The whole.

void ChatCompletion::add(const ChatChunk& chunk) {
  if (chunk.kind == Kind::kReasoning) {
    reasoning_ += chunk.text;
  } else if (chunk.kind == Kind::kContent) {
    if (!content_) content_.emplace();
    *content_ += chunk.text;
    if (!chunk.json.is_null() && logprobs_.is_null()) logprobs_ = Json::array();
    for (const Json& token : chunk.json) logprobs_.push_back(token);
  } else if (chunk.kind == Kind::kCall) {
    add_call(chunk.json);
  } else if (chunk.kind == Kind::kEnd) {
    finish_reason_ = chunk.json;
  }
}

void ChatCompletion::add_call(const Json& call) {
  if (call.contains("id")) {
    calls_.push_back(call);
    calls_.back().erase("index");
    return;
  }
  const char* body = call.contains("custom") ? "custom" : "function";
  const char* text = call.contains("custom") ? "input" : "arguments";
  calls_.back()[body][text].get_ref<std::string&>() +=
      call[body][text].get_ref<const std::string&>();
}

Json ChatCompletion::json(const CompletionHead& head, const chat::TurnUsage& usage) const {
  Json message = {{"role", "assistant"}, {"content", nullptr}, {"refusal", nullptr}};
  if (content_) message["content"] = *content_;
  if (!content_ && calls_.empty()) message["content"] = "";
  if (!reasoning_.empty()) {
    message["reasoning"] = reasoning_;
    message["reasoning_content"] = reasoning_;
  }
  if (!calls_.empty()) message["tool_calls"] = calls_;
  Json choice = {
      {"index", 0},
      {"message", std::move(message)},
      {"logprobs", logprobs_field(logprobs_)},
      {"finish_reason", finish_reason_}};
  Json json = head.json("chat.completion");
  json["choices"] = Json::array({std::move(choice)});
  json["usage"] = completion_usage_json(usage);
  return json;
}

}  // namespace gossamer::api
