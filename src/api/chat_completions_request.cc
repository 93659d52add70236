#include "api/chat_completions_request.h"

#include <utility>

#include "api/chat_messages.h"
#include "api/completion_options.h"
#include "api/reasoning_effort.h"
#include "api/sampling.h"

namespace gossamer::api {
namespace {

using harmony::Message;
using harmony::Role;

class RequestReader {
 public:
  RequestReader(const Json& body, const ChatDefaults& defaults)
      : defaults_(defaults), reader_(body, "", error_) {}

  ApiResult<ChatCompletionsRequest> read() {
    read_options();
    for (const auto& tool : defaults_.tools) request_.tools.reserve(tool->declaration().name);
    read_tools(reader_, request_.tools, request_.warnings);
    if (!error_) selection_ = read_tool_choice(reader_, request_.tools);
    read_response_format();
    read_conversation();
    if (error_) return *std::move(error_);
    set_callees();
    return std::move(request_);
  }

 private:
  void read_options() {
    request_.id = new_completion_id("chatcmpl");
    request_.model = reader_.string_or("model", defaults_.model);
    request_.stream = reader_.boolean("stream").value_or(false);
    request_.include_usage = read_include_usage(reader_);
    request_.logprobs = reader_.boolean("logprobs").value_or(false);
    (void)reader_.boolean("parallel_tool_calls");
    (void)reader_.object("metadata");
    refuse_several_choices(reader_);
    for (const std::string_view key : {"functions", "function_call"}) {
      if (reader_.find(key) != nullptr) reader_.fail(key, "is not supported; use tools");
    }
    chat::TurnRequest& turn = request_.turn;
    turn.sampling = read_sampling(reader_);
    if (!request_.logprobs) turn.sampling.top_logprobs = 0;
    turn.max_tokens = read_max_tokens();
    turn.stop = read_stop(reader_);
    turn.user = read_user(reader_);
  }

  std::optional<int> read_max_tokens() const {
    const NumberRange range{1, 1e9};
    const auto older = reader_.integer("max_tokens", range);
    const auto newer = reader_.integer("max_completion_tokens", range);
    if (newer) return static_cast<int>(*newer);
    return older ? std::optional(static_cast<int>(*older)) : std::nullopt;
  }

  void read_response_format() {
    const Json* format = reader_.object("response_format");
    if (format == nullptr) return;
    const ObjectReader reader(*format, "response_format", error_);
    const std::string type = reader.string_or("type", "text");
    if (type == "json_object") {
      developer_.response_formats.push_back({"json", std::nullopt, R"({"type":"object"})"});
    } else if (type == "json_schema") {
      read_schema(reader);
    } else if (type != "text") {
      reader.fail("type", "must be text, json_object or json_schema");
    }
  }

  void read_schema(const ObjectReader& format) {
    const Json* body = format.object("json_schema");
    if (body == nullptr) return error_ ? void() : format.fail_missing("json_schema");
    const ObjectReader reader(*body, format.path_of("json_schema"), error_);
    const Json* schema = reader.object("schema");
    if (schema == nullptr) return error_ ? void() : reader.fail_missing("schema");
    developer_.response_formats.push_back(
        {reader.string_or("name", "response"), reader.string("description"), schema->dump()}
    );
  }

  bool offers_tools() const { return selection_.choice != chat::ToolChoice::kNone; }

  void read_conversation() {
    auto messages = read_chat_messages(reader_, request_.tools, developer_);
    const auto effort = read_reasoning_effort(reader_, request_.warnings);
    auto& conversation = request_.turn.conversation.messages;
    conversation.push_back(system_message(effort));
    if (offers_tools() && !request_.tools.empty()) developer_.tools = request_.tools.declarations();
    if (developer_ != harmony::DeveloperContent{}) {
      Message developer;
      developer.role = Role::kDeveloper;
      developer.content.emplace_back(std::move(developer_));
      conversation.push_back(std::move(developer));
    }
    conversation.insert(
        conversation.end(),
        std::make_move_iterator(messages.begin()),
        std::make_move_iterator(messages.end())
    );
  }

  Message system_message(harmony::ReasoningEffort effort) const {
    harmony::SystemContent content = harmony::SystemContent::defaults();
    content.reasoning_effort = effort;
    if (!defaults_.date.empty()) content.conversation_start_date = defaults_.date;
    if (offers_tools() && !defaults_.tools.empty()) {
      content.tools.emplace();
      for (const auto& tool : defaults_.tools) {
        content.tools->emplace(tool->declaration().name, tool->declaration());
      }
    }
    Message message;
    message.role = Role::kSystem;
    message.content.emplace_back(std::move(content));
    return message;
  }

  void set_callees() {
    chat::TurnRequest& turn = request_.turn;
    turn.tool_choice = selection_.choice;
    turn.functions = std::move(selection_.recipients);
    const bool is_free = selection_.choice == chat::ToolChoice::kAuto;
    if (is_free && selection_.allows_server_tools) turn.tools = defaults_.tools;
  }

  const ChatDefaults& defaults_;
  FirstError error_;
  ObjectReader reader_;
  ToolSelection selection_;
  harmony::DeveloperContent developer_;
  ChatCompletionsRequest request_;
};

}  // namespace

ApiResult<ChatCompletionsRequest> read_chat_completions_request(
    const Json& body, const ChatDefaults& defaults
) {
  return RequestReader(body, defaults).read();
}

}  // namespace gossamer::api
