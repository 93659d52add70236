#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/chat_completions_request.h"
#include "api/completion_options.h"
#include "api/custom_tool_input.h"
#include "api/json_reader.h"
#include "chat/event.h"
#include "chat/turn.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::api {

/// A turn's events -> the chunks of a stream. The role comes first; reasoning is in `reasoning` and
/// in `reasoning_content`; preambles and the answer are content, parted by an empty line; calls of
/// the client's tools are tool_calls; calls of the server's own are not shown. After the last chunk
/// the stream is closed with `data: [DONE]`. An error in its midst is to_json(ApiError) as a chunk.
/// One thread at a time.
class ChatCompletionsStream {
 public:
  /// The request and the tokenizer must outlive the stream.
  ChatCompletionsStream(
      const ChatCompletionsRequest& request,
      const tokenizer::Tokenizer& tokenizer,
      CompletionHead head
  );

  /// The first chunk, with the role: to be sent as soon as the request is accepted.
  Json begin() const;

  /// The chunks of some events.
  std::vector<Json> push(std::span<const chat::Event> events);

  /// The last chunks: finish_reason, and usage if it was asked for.
  std::vector<Json> finish(chat::TurnEnd end, const chat::TurnUsage& usage) const;

 private:
  struct Call {
    std::size_t index;
    ToolName name;
    CustomToolInput input;  // of custom tools
  };

  void start(const chat::MessageStarted& event, std::vector<Json>& chunks);
  void add(const chat::TextAdded& event, std::vector<Json>& chunks);
  void end(const chat::MessageEnded& event, std::vector<Json>& chunks);
  void add_arguments(Call& call, const std::string& text, std::vector<Json>& chunks) const;
  Json chunk(Json delta) const;

  const ChatCompletionsRequest& request_;
  const tokenizer::Tokenizer& tokenizer_;
  CompletionHead head_;
  chat::MessageKind kind_ = chat::MessageKind::kAnswer;  // of the open message
  std::string separator_;                                // before its next text
  std::optional<Call> call_;                             // the open one
  std::size_t num_calls_ = 0;
  bool has_reasoning_ = false;
  bool has_content_ = false;
};

/// The whole completion as one object, made of the chunks that the same stream gives.
class ChatCompletion {
 public:
  /// Takes a chunk of ChatCompletionsStream, in order.
  void add(const Json& chunk);

  /// {"object": "chat.completion", …}
  Json json(const CompletionHead& head, const chat::TurnUsage& usage) const;

 private:
  void add_call(const Json& delta);

  std::string reasoning_;
  std::optional<std::string> content_;
  std::vector<Json> calls_;
  Json logprobs_ = Json::array();
  bool has_logprobs_ = false;
  Json finish_reason_;
};

/// "stop", "length" or "tool_calls".
std::string_view finish_reason(chat::TurnEnd end);

}  // namespace gossamer::api
