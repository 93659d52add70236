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

/// A chunk of a stream: what it adds to the only choice.
struct ChatChunk {
  enum class Kind { kRole, kReasoning, kContent, kCall, kEnd, kUsage };
  Kind kind;
  std::string text = {};  ///< of kReasoning and kContent
  /// kContent: its log-probabilities, or null; kCall: an entry of tool_calls; kEnd: finish_reason;
  /// kUsage: the usage.
  Json json = {};
};

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
      const CompletionHead& head
  );

  /// The first chunk, with the role: to be sent as soon as the request is accepted.
  ChatChunk begin() const { return {ChatChunk::Kind::kRole}; }

  /// The chunks of some events.
  std::vector<ChatChunk> push(std::span<const chat::Event> events);

  /// The last chunks: finish_reason, and usage if it was asked for.
  std::vector<ChatChunk> finish(chat::TurnEnd end, const chat::TurnUsage& usage) const;

  /// A chunk as JSON, in OpenAI's form.
  std::string text_of(const ChatChunk& chunk) const;

 private:
  struct Call {
    std::size_t index;
    ToolName name;
    CustomToolInput input;  // of custom tools
  };

  void append(const ChatChunk& chunk, std::string& text) const;
  void start(const chat::MessageStarted& event, std::vector<ChatChunk>& chunks);
  void add(const chat::TextAdded& event, std::vector<ChatChunk>& chunks);
  void end(const chat::MessageEnded& event, std::vector<ChatChunk>& chunks);
  void add_arguments(Call& call, const std::string& text, std::vector<ChatChunk>& chunks) const;

  const ChatCompletionsRequest& request_;
  const tokenizer::Tokenizer& tokenizer_;
  std::string head_;                                     // every chunk's beginning
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
  void add(const ChatChunk& chunk);

  /// {"object": "chat.completion", …}
  Json json(const CompletionHead& head, const chat::TurnUsage& usage) const;

 private:
  void add_call(const Json& call);

  std::string reasoning_;
  std::optional<std::string> content_;
  std::vector<Json> calls_;
  Json logprobs_;  // null when none came
  Json finish_reason_;
};

/// "stop", "length" or "tool_calls".
std::string_view finish_reason(chat::TurnEnd end);

}  // namespace gossamer::api
