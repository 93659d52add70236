#include "api/responses_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "api/ids.h"
#include "api/reasoning_effort.h"
#include "api/sampling.h"

namespace gossamer::api {
namespace {

constexpr NumberRange kCount = {1, 1e9};

// Fields that are read, and fields that clients send and that change nothing here.
constexpr std::array<std::string_view, 44> kKnownFields = {
    "background",
    "client_metadata",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "reasoning_effort",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "moderation",
    "chat_template_kwargs",
    "seed",
    "top_k",
    "min_p",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "conversation",
    "prompt",
    "session_id",
    "response_id",
    "context_management",
    "verbosity"};

std::optional<int> read_count(const ObjectReader& reader, std::string_view key) {
  const auto count = reader.integer(key, kCount);
  return count ? std::optional(static_cast<int>(*count)) : std::nullopt;
}

/// A field as the client sent it, or what stands for its absence.
Json echo_of(const ObjectReader& reader, std::string_view key, const Json& otherwise = nullptr) {
  const Json* value = reader.find(key);
  if (value == nullptr) return otherwise;
  return *value;
}

bool includes(const ObjectReader& reader, std::string_view what) {
  const Json* list = reader.array("include");
  return list != nullptr && std::any_of(list->begin(), list->end(), [&](const Json& entry) {
           return entry.is_string() && entry.get_ref<const std::string&>() == what;
         });
}

/// Reads one request.
class RequestReader {
 public:
  RequestReader(const Json& body, const RequestDefaults& defaults)
      : body_(body), defaults_(defaults), reader_(body, "", error_) {}

  ApiResult<ResponsesRequest> read() {
    request_.id = new_id("resp");
    ItemIds ids(request_.id, ItemIds::Half::kInput);
    warn_of_unknown_fields();
    read_plain_fields();
    request_.effort = read_reasoning_effort(reader_, request_.warnings);
    request_.sampling = read_sampling(reader_);
    request_.input = read_input(reader_, ids, request_.warnings);
    for (const std::string& name : defaults_.server_namespaces) request_.tools.reserve(name);
    read_tools(reader_, request_.tools, request_.warnings);
    if (!error_) request_.selection = read_tool_choice(reader_, request_.tools);
    read_text_format();
    refuse_unsupported();
    if (error_) return *std::move(error_);
    write_echo();
    return std::move(request_);
  }

 private:
  void warn_of_unknown_fields() {
    for (const auto& [key, unused] : body_.items()) {
      if (std::find(kKnownFields.begin(), kKnownFields.end(), key) == kKnownFields.end()) {
        request_.warnings.push_back("unknown field " + key.substr(0, 64) + " is ignored");
      }
    }
  }

  void read_plain_fields() {
    request_.model = reader_.string_or("model", defaults_.model);
    request_.instructions = reader_.string("instructions");
    request_.previous_response_id = reader_.string("previous_response_id");
    request_.max_output_tokens = read_count(reader_, "max_output_tokens");
    request_.max_tool_calls = read_count(reader_, "max_tool_calls");
    request_.stream = reader_.boolean("stream").value_or(false);
    request_.store = reader_.boolean("store").value_or(true);
    request_.background = reader_.boolean("background").value_or(false);
    request_.seals_reasoning = includes(reader_, "reasoning.encrypted_content");
    request_.includes_logprobs = includes(reader_, "message.output_text.logprobs") ||
                                 reader_.integer("top_logprobs", {0, 20}).value_or(0) > 0;
    request_.user = reader_.string_or("safety_identifier", reader_.string_or("user", ""));
    const std::string truncation = reader_.string_or("truncation", "disabled");
    request_.truncates = truncation == "auto";
    if (truncation != "auto" && truncation != "disabled") {
      reader_.fail("truncation", "must be auto or disabled");
    }
    (void)reader_.boolean("parallel_tool_calls");
    (void)reader_.object("metadata");
  }

  void read_text_format() {
    const Json* text = reader_.object("text");
    if (text == nullptr) return;
    const ObjectReader text_reader(*text, "text", error_);
    const Json* format = text_reader.object("format");
    if (format == nullptr) return;
    const ObjectReader reader(*format, "text.format", error_);
    const std::string type = reader.string_or("type", "text");
    if (type == "json_object") {
      request_.response_formats.push_back({"json", std::nullopt, R"({"type":"object"})"});
    } else if (type == "json_schema") {
      const Json* schema = reader.object("schema");
      if (schema == nullptr) return reader.fail_missing("schema");
      request_.response_formats.push_back(
          {reader.string_or("name", "response"), reader.string("description"), schema->dump()}
      );
    } else if (type != "text") {
      reader.fail("type", "must be text, json_object or json_schema");
    }
  }

  void refuse_unsupported() {
    if (reader_.find("conversation") != nullptr) {
      reader_.fail("conversation", "is not supported; use previous_response_id");
    }
    if (reader_.find("prompt") != nullptr) {
      reader_.fail("prompt", "is not supported; send instructions and input");
    }
    if (request_.background && !request_.store) {
      reader_.fail("background", "needs store, or nobody could fetch the response");
    }
  }

  void write_echo() {
    const Json* reasoning = reader_.object("reasoning");
    const Json summary =
        reasoning != nullptr && reasoning->contains("summary") ? (*reasoning)["summary"] : Json();
    Json text = echo_of(reader_, "text", Json::object());
    if (!text.contains("format") || text["format"].is_null()) text["format"] = {{"type", "text"}};
    request_.echo = {
        {"background", request_.background},
        {"instructions", echo_of(reader_, "instructions")},
        {"max_output_tokens", or_null(request_.max_output_tokens)},
        {"max_tool_calls", or_null(request_.max_tool_calls)},
        {"model", request_.model},
        {"parallel_tool_calls", reader_.boolean("parallel_tool_calls").value_or(true)},
        {"previous_response_id", echo_of(reader_, "previous_response_id")},
        {"prompt_cache_key", echo_of(reader_, "prompt_cache_key")},
        {"reasoning", {{"effort", harmony::effort_name(request_.effort)}, {"summary", summary}}},
        {"safety_identifier", echo_of(reader_, "safety_identifier")},
        {"service_tier", "default"},
        {"store", request_.store},
        {"temperature", request_.sampling.temperature},
        {"text", std::move(text)},
        {"tool_choice", echo_of(reader_, "tool_choice", "auto")},
        {"tools", echo_of(reader_, "tools", Json::array())},
        {"top_logprobs", request_.sampling.top_logprobs},
        {"top_p", request_.sampling.top_p},
        {"truncation", request_.truncates ? "auto" : "disabled"},
        {"user", echo_of(reader_, "user")},
        {"metadata", echo_of(reader_, "metadata", Json::object())}};
  }

  static Json or_null(std::optional<int> count) { return count ? Json(*count) : Json(); }

  const Json& body_;
  const RequestDefaults& defaults_;
  FirstError error_;
  ObjectReader reader_;
  ResponsesRequest request_;
};

void append_items(const Json& list, Items& items) {
  if (!list.is_array()) return;
  for (const Json& item : list) items.push_back(item);
}

}  // namespace

ApiResult<ResponsesRequest> read_responses_request(
    const Json& body, const RequestDefaults& defaults
) {
  return RequestReader(body, defaults).read();
}

Items continue_chain(std::span<const EarlierResponse> chain, ResponsesRequest& request) {
  Items items;
  for (const EarlierResponse& earlier : chain) {
    append_items(earlier.input, items);
    const auto output = earlier.response.find("output");
    if (output != earlier.response.end()) append_items(*output, items);
  }
  if (!request.instructions && !chain.empty()) {
    const std::string instructions = text_member(chain.back().response, "instructions");
    if (!instructions.empty()) {
      request.instructions = instructions;
      request.echo["instructions"] = instructions;
    }
  }
  return items;
}

}  // namespace gossamer::api
