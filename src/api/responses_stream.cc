#include "api/responses_stream.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "api/logprobs.h"
#include "api/responses_object.h"
#include "tokenizer/utf8.h"

namespace gossamer::api {
namespace {

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

bool is_server_call(const OutputItem& item) {
  return item.kind == OutputKind::kMcpCall || item.kind == OutputKind::kWebSearchCall ||
         item.kind == OutputKind::kCodeInterpreterCall;
}

/// "clock.now" is the function "now" of "clock"; "python" has no functions.
void name_server_call(std::string_view recipient, OutputItem& item) {
  const std::size_t point = recipient.find('.');
  item.name_space = recipient.substr(0, point);
  item.name = point == std::string_view::npos ? recipient : recipient.substr(point + 1);
}

}  // namespace

ResponsesStream::ResponsesStream(const ResponsesRequest& request, const StreamContext& context)
    : id_(request.id),
      created_at_(context.created_at),
      echo_(request.echo),
      tools_(request.tools),
      seal_(request.seals_reasoning ? context.seal : nullptr),
      tokenizer_(request.includes_logprobs ? &context.tokenizer : nullptr),
      ids_(request.id, ItemIds::Half::kOutput) {}

std::vector<StreamEvent> ResponsesStream::start() {
  writer_.add("response.created").add_json("response", response());
  return heartbeat();
}

std::vector<StreamEvent> ResponsesStream::heartbeat() {
  writer_.add("response.in_progress").add_json("response", response());
  return writer_.take();
}

std::vector<StreamEvent> ResponsesStream::push(std::span<const chat::Event> events) {
  for (const chat::Event& event : events) {
    std::visit([&](const auto& known) { take(known); }, event);
  }
  return writer_.take();
}

OutputItem ResponsesStream::make_item(const chat::MessageStarted& started) {
  OutputItem item;
  switch (started.kind) {
    case chat::MessageKind::kReasoning:
      item.kind = OutputKind::kReasoning;
      break;
    case chat::MessageKind::kPreamble:
      item.phase = "commentary";
      break;
    case chat::MessageKind::kAnswer:
      item.phase = "final_answer";
      break;
    case chat::MessageKind::kFunctionCall: {
      ToolName name = tools_.name_of(started.recipient);
      const bool is_custom = name.kind == ToolKind::kCustom;
      item.kind = is_custom ? OutputKind::kCustomToolCall : OutputKind::kFunctionCall;
      item.name = std::move(name.name);
      item.name_space = std::move(name.name_space);
      item.call_id = ids_.next("call");
      break;
    }
    case chat::MessageKind::kToolCall:
      item.kind = kind_of_server_call(started.recipient);
      name_server_call(started.recipient, item);
      break;
  }
  return item;
}

void ResponsesStream::take(const chat::MessageStarted& started) {
  Open& open = open_[started.message];
  open.item = make_item(started);
  // A thought without a word is no item; an answer without one is.
  if (open.item.kind != OutputKind::kReasoning) announce(open);
}

void ResponsesStream::announce(Open& open) {
  if (open.is_announced) return;
  open.is_announced = true;
  open.item.id = ids_.next(id_prefix(open.item.kind));
  open.item.index = done_.size();
  done_.emplace_back();
  writer_.begin(open.item);
}

void ResponsesStream::add_text(Open& open, std::string_view text, const Json& logprobs) {
  if (text.empty()) return;
  announce(open);
  open.item.text += text;
  writer_.add_text(open.item, text, logprobs);
}

void ResponsesStream::take(const chat::TextAdded& added) {
  const auto found = open_.find(added.message);
  if (found == open_.end()) return;
  Open& open = found->second;
  if (open.item.kind == OutputKind::kCustomToolCall) {
    return add_text(open, open.input.push(added.text), Json::array());
  }
  Json logprobs = Json::array();
  if (tokenizer_ != nullptr && open.item.kind == OutputKind::kMessage) {
    logprobs = logprobs_json(added.tokens, *tokenizer_);
    for (const Json& entry : logprobs) open.item.logprobs.push_back(entry);
  }
  add_text(open, added.text, logprobs);
}

void ResponsesStream::end_text(Open& open) {
  if (open.text_is_over) return;
  open.text_is_over = true;
  OutputItem& item = open.item;
  if (item.kind == OutputKind::kCustomToolCall) {
    add_text(open, open.input.finish(), Json::array());
  } else if (item.kind == OutputKind::kFunctionCall && item.status != "incomplete" && is_blank(item.text)) {
    add_text(open, "{}", Json::array());  // clients parse arguments without looking
  } else if (item.kind == OutputKind::kReasoning && seal_ != nullptr) {
    item.sealed = seal_->seal(item.text);
  }
  writer_.end_text(item);
}

void ResponsesStream::take(const chat::MessageEnded& ended) {
  const auto found = open_.find(ended.message);
  if (found == open_.end()) return;
  if (ended.is_complete && is_server_call(found->second.item)) {
    return end_text(found->second);  // and the tool runs
  }
  close(ended.message, ended.is_complete ? "completed" : "incomplete");
}

void ResponsesStream::take(const chat::ToolFinished& finished) {
  const auto found = open_.find(finished.message);
  if (found == open_.end()) return;
  OutputItem& item = found->second.item;
  item.result = tokenizer::replace_invalid_utf8(finished.output);
  const bool shows_failure = finished.failed && item.kind != OutputKind::kCodeInterpreterCall;
  close(finished.message, shows_failure ? "failed" : "completed");
}

void ResponsesStream::close(std::size_t message, std::string status) {
  const auto found = open_.find(message);
  Open& open = found->second;
  open.item.status = std::move(status);
  if (open.is_announced) {
    end_text(open);
    writer_.end(open.item);
    done_[open.item.index] = item_json(open.item);
  }
  open_.erase(found);
}

void ResponsesStream::close_all() {
  while (!open_.empty()) close(open_.begin()->first, "incomplete");
}

std::vector<StreamEvent> ResponsesStream::end(
    std::string_view event, const chat::TurnUsage& usage
) {
  usage_ = usage_json(usage);
  writer_.add(event).add_json("response", response());
  return writer_.take();
}

std::vector<StreamEvent> ResponsesStream::finish(
    chat::TurnEnd turn_end, const chat::TurnUsage& usage, std::int64_t completed_at
) {
  close_all();
  if (turn_end == chat::TurnEnd::kLength) {
    status_ = "incomplete";
    incomplete_details_ = {{"reason", "max_output_tokens"}};
    return end("response.incomplete", usage);
  }
  status_ = "completed";
  completed_at_ = completed_at;
  return end("response.completed", usage);
}

std::vector<StreamEvent> ResponsesStream::fail(
    const ApiError& error, const chat::TurnUsage& usage
) {
  close_all();
  status_ = "failed";
  error_ = {{"code", error.code.empty() ? error.type : error.code}, {"message", error.message}};
  return end("response.failed", usage);
}

std::vector<StreamEvent> ResponsesStream::cancel(const chat::TurnUsage& usage) {
  close_all();
  status_ = "cancelled";
  return end("response.incomplete", usage);
}

Json ResponsesStream::response() const {
  Json output = Json::array();
  for (const Json& item : done_) output.push_back(item);
  for (const auto& [message, open] : open_) {
    if (open.is_announced) output[open.item.index] = item_json(open.item);
  }
  Json object = {
      {"id", id_},
      {"object", "response"},
      {"created_at", created_at_},
      {"status", status_},
      {"completed_at", completed_at_},
      {"error", error_},
      {"incomplete_details", incomplete_details_},
      {"output", std::move(output)},
      {"usage", usage_}};
  object.update(echo_);
  return object;
}

}  // namespace gossamer::api
