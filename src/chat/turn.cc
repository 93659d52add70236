#include "chat/turn.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "grammar/header_mask.h"
#include "tokenizer/utf8.h"

namespace gossamer::chat {
namespace {

using harmony::Marker;
using harmony::Message;

/// The recipients that a tool answers to.
void add_recipients(const tools::Tool& tool, std::vector<grammar::Recipient>& recipients) {
  const harmony::ToolNamespace& declaration = tool.declaration();
  if (declaration.functions.empty()) {
    recipients.push_back(grammar::Recipient::built_in(declaration.name));
  }
  for (const harmony::ToolFunction& function : declaration.functions) {
    recipients.push_back(grammar::Recipient::built_in(declaration.name + "." + function.name));
  }
}

/// The answer of a tool, as the model reads it.
Message tool_message(const Message& call, std::string_view output) {
  Message message = Message::of_text(harmony::Role::kTool, tokenizer::replace_invalid_utf8(output));
  message.name = call.recipient;
  message.recipient = "assistant";
  message.channel = call.channel;
  return message;
}

void add(const harmony::RepairCounts& counts, harmony::RepairCounts& sum) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += counts[i];
}

}  // namespace

Turn::Turn(const harmony::Encoding& encoding, TurnRequest request, TurnPrompt prompt)
    : encoding_(encoding), request_(std::move(request)), prompt_(std::move(prompt)) {}

Result<Turn> Turn::create(const harmony::Encoding& encoding, TurnRequest request) {
  GOSSAMER_ASSIGN_OR_RETURN(TurnPrompt prompt, TurnPrompt::create(encoding, request.conversation));
  Turn turn(encoding, std::move(request), std::move(prompt));
  GOSSAMER_RETURN_IF_ERROR(turn.compile_grammar());
  return turn;
}

// Generations.

Status Turn::compile_grammar() {
  grammar::TurnRules rules;
  // A call of our own tool is one of the calls that were required.
  const bool must_call = request_.tool_choice == ToolChoice::kRequired && num_tool_calls_ == 0;
  if (must_call) rules.channels = {"analysis", "commentary"};
  if (request_.tool_choice != ToolChoice::kNone) {
    for (const std::string& function : request_.functions) {
      rules.recipients.push_back(grammar::Recipient::function(function));
    }
    for (const auto& tool : request_.tools) {
      if (may_call_tools()) add_recipients(*tool, rules.recipients);
    }
  }
  GOSSAMER_ASSIGN_OR_RETURN(grammar_, grammar::HeaderGrammar::create(encoding_, rules));
  return {};
}

Result<engine::Request> Turn::next_generation() {
  for (; num_rendered_ < messages_.size(); ++num_rendered_) {
    GOSSAMER_RETURN_IF_ERROR(prompt_.append(messages_[num_rendered_]));
  }
  if (num_generations_ > 0) GOSSAMER_RETURN_IF_ERROR(compile_grammar());
  engine::Request request{
      .prompt = prompt_.tokens(),
      .sampling = request_.sampling,
      .stop_tokens = encoding_.turn_end_tokens(),
      .mask = std::make_shared<grammar::HeaderMask>(grammar_),
      .user = request_.user,
      .reuse_positions = prompt_.reuse_positions(),
  };
  if (request_.max_tokens) request.max_tokens = *request_.max_tokens - usage_.output_tokens;
  // Every generation of a turn draws its own numbers.
  if (request.sampling.seed) *request.sampling.seed += static_cast<unsigned>(num_generations_);
  if (num_generations_ == 0) usage_.prompt_tokens = static_cast<int>(request.prompt.size());
  ++num_generations_;
  parser_.emplace(encoding_, harmony::ParserOptions{.role = harmony::Role::kAssistant});
  ended_.reset();
  return request;
}

std::span<const Event> Turn::push(const engine::SampledToken& token) {
  events_.clear();
  if (is_stopped_ || !parser_) return events_;
  ++usage_.output_tokens;
  if (open_) {
    ++open_->num_tokens;
    const auto bytes = encoding_.tokenizer().bytes_of(token.token);
    if (bytes && !encoding_.is_special(token.token)) open_->text.add_token(token, bytes->size());
  } else {
    ++num_header_tokens_;
  }
  take(parser_->push(token.token), true);
  return events_;
}

bool Turn::is_stopped() const {
  return is_stopped_;
}

std::span<const Event> Turn::finish_generation(engine::FinishReason reason, int num_cached_tokens) {
  events_.clear();
  if (!parser_) return events_;
  if (num_generations_ == 1) usage_.cached_tokens = num_cached_tokens;
  if (is_stopped_) reason = engine::FinishReason::kStop;
  // Before the end: that the generation was cut is not the model's fault.
  add(parser_->repair_counts(), repair_counts_);
  const auto parsed = parser_->finish();
  if (!ends_in_header(parsed)) take(parsed, reason == engine::FinishReason::kStop);
  parser_.reset();
  num_header_tokens_ = 0;
  settle(reason);
  is_stopped_ = false;
  return events_;
}

/// True when the generation was cut inside a header: the fields so far may be parts of words, so
/// there is no message unless there is text.
bool Turn::ends_in_header(std::span<const harmony::ParseEvent> parsed) const {
  const auto starts = [](const harmony::ParseEvent& event) {
    return std::holds_alternative<harmony::MessageStarted>(event);
  };
  if (std::none_of(parsed.begin(), parsed.end(), starts)) return false;
  const Message& message = parser_->messages().back();
  return message.recipient.has_value() || message.text().empty();
}

void Turn::settle(engine::FinishReason reason) {
  end_ = reason == engine::FinishReason::kLength ? TurnEnd::kLength : TurnEnd::kAnswer;
  if (end_ == TurnEnd::kLength || !ended_) return;
  if (ended_->kind == MessageKind::kFunctionCall) end_ = TurnEnd::kFunctionCall;
  if (ended_->kind != MessageKind::kToolCall) return;
  if (may_call_tools() && has_tokens_left()) {
    pending_tool_ = ended_->tool;
  } else {
    end_ = TurnEnd::kLength;
  }
}

// Messages.

void Turn::take(std::span<const harmony::ParseEvent> parsed, bool is_complete) {
  for (const harmony::ParseEvent& event : parsed) {
    if (const auto* started = std::get_if<harmony::MessageStarted>(&event)) {
      start_message(parser_->messages()[started->message]);
    } else if (const auto* added = std::get_if<harmony::TextAdded>(&event)) {
      add_text(added->text);
    } else if (const auto* ended = std::get_if<harmony::MessageEnded>(&event)) {
      end_message(parser_->messages()[ended->message], is_complete);
      const bool ends_turn = ended->stop == Marker::kCall || ended->stop == Marker::kReturn;
      const bool is_last = ended_ && ended_->kind != MessageKind::kReasoning &&
                           ended_->kind != MessageKind::kPreamble;
      if (is_last && !ends_turn) is_stopped_ = true;
      if (is_stopped_) return;
    }
  }
}

void Turn::start_message(const Message& message) {
  Destination destination = destination_of(message, {request_.functions, request_.tools});
  const bool is_answer = destination.kind == MessageKind::kAnswer;
  events_.emplace_back(MessageStarted{messages_.size(), destination.kind, destination.recipient});
  open_.emplace(OpenMessage{
      messages_.size(),
      std::move(destination),
      MessageText(is_answer ? request_.stop : std::vector<std::string>()),
      std::exchange(num_header_tokens_, 0)});
}

void Turn::add_text(std::string_view text) {
  auto event = open_->text.add_text(open_->index, text);
  if (event) events_.emplace_back(std::move(*event));
  if (open_->text.is_stopped()) is_stopped_ = true;
}

void Turn::end_message(const Message& message, bool is_complete) {
  auto rest = open_->text.finish(open_->index);
  if (rest) events_.emplace_back(std::move(*rest));
  events_.emplace_back(MessageEnded{open_->index, is_complete});
  messages_.push_back(message);
  if (open_->text.is_stopped()) {
    messages_.back().content.assign(1, harmony::TextContent{open_->text.text()});
    messages_.back().sampled.clear();
  }
  if (open_->destination.kind == MessageKind::kReasoning) {
    usage_.reasoning_tokens += open_->num_tokens;
  }
  ended_.reset();
  if (is_complete) ended_ = std::move(open_->destination);
  open_.reset();
}

// Calls of our own tools.

const Message* Turn::pending_call() const {
  return pending_tool_ == nullptr ? nullptr : &messages_.back();
}

const tools::Tool* Turn::pending_tool() const {
  return pending_tool_;
}

std::span<const Event> Turn::add_tool_result(tools::ToolResult result) {
  events_.clear();
  if (pending_tool_ == nullptr) return events_;
  pending_tool_ = nullptr;
  ++num_tool_calls_;
  const std::size_t call = messages_.size() - 1;
  messages_.push_back(tool_message(messages_[call], result.output));
  events_.emplace_back(ToolFinished{call, std::move(result.output), result.failed});
  return events_;
}

TurnEnd Turn::end() const {
  return end_;
}

const std::vector<Message>& Turn::messages() const {
  return messages_;
}

TurnUsage Turn::usage() const {
  TurnUsage usage = usage_;
  if (open_ && open_->destination.kind == MessageKind::kReasoning) {
    usage.reasoning_tokens += open_->num_tokens;
  }
  return usage;
}

harmony::RepairCounts Turn::repair_counts() const {
  harmony::RepairCounts counts = repair_counts_;
  if (parser_) add(parser_->repair_counts(), counts);
  return counts;
}

}  // namespace gossamer::chat
