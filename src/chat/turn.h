#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chat/event.h"
#include "chat/message_kind.h"
#include "chat/message_text.h"
#include "chat/turn_prompt.h"
#include "chat/turn_request.h"
#include "engine/request.h"
#include "grammar/header_grammar.h"
#include "harmony/encoding.h"
#include "harmony/stream_parser.h"

namespace gossamer::chat {

/// How a turn ended.
enum class TurnEnd {
  kAnswer,        ///< the model is done
  kFunctionCall,  ///< it called a function that the caller must run
  kLength,        ///< max_tokens, or the context, is full
};

/// Tokens that a turn has taken so far.
struct TurnUsage {
  int prompt_tokens = 0;     ///< of the first generation
  int cached_tokens = 0;     ///< of those, from the prefix cache
  int output_tokens = 0;     ///< sampled, over all generations
  int reasoning_tokens = 0;  ///< of those, of messages of kReasoning: header, text and end
};

/// One turn of the model: prompts out, tokens in, events out. A turn is one generation, and one
/// more for each call of a tool that gossamer runs. Does no work of its own accord: whoever drives
/// it submits the requests, feeds the tokens and runs the tools, on one thread at a time.
///
///   while (true) {
///     request = turn.next_generation();
///     … every token of it: events = turn.push(token) …; stop early when turn.is_stopped()
///     events = turn.finish_generation(reason);
///     if (turn.pending_call() == nullptr) break;
///     events = turn.add_tool_result(tool->run(*turn.pending_call(), stop));
///   }
class Turn {
 public:
  /// Errors: a conversation that cannot be rendered, a recipient that no header can hold, and a
  /// call that is required where there is nothing to call.
  static Result<Turn> create(const harmony::Encoding& encoding, TurnRequest request);

  /// What to generate next: the prompt, what of it later prompts will begin with, limits, stop
  /// tokens, and the mask that keeps headers well-formed. Errors: kContextFull is the generator's.
  Result<engine::Request> next_generation();

  /// Takes a sampled token. Events are valid until the next call of any of these.
  std::span<const Event> push(const engine::SampledToken& token);

  /// True once a stop text came up, or an answer or call ended without the token that ends a turn:
  /// the generation should be cancelled, and finished with kStop. Further tokens are ignored.
  bool is_stopped() const;

  /// Takes the end of a generation.
  std::span<const Event> finish_generation(engine::FinishReason reason, int num_cached_tokens);

  /// The call that must be answered before the next generation, and the tool to ask; null when the
  /// turn is over.
  const harmony::Message* pending_call() const;
  const tools::Tool* pending_tool() const;
  std::span<const Event> add_tool_result(tools::ToolResult result);

  /// After the turn is over.
  TurnEnd end() const;

  /// What the model wrote, and the results of our tools, in order.
  const std::vector<harmony::Message>& messages() const;

  TurnUsage usage() const;

  /// How often each repair was made to what the model wrote.
  harmony::RepairCounts repair_counts() const;

 private:
  struct OpenMessage {
    std::size_t index;
    Destination destination;
    MessageText text;
    int num_tokens = 0;  // sampled, header included
  };

  Turn(const harmony::Encoding& encoding, TurnRequest request, TurnPrompt prompt);

  Status compile_grammar();
  bool may_call_tools() const { return num_tool_calls_ < request_.max_tool_calls; }
  bool has_tokens_left() const {
    return !request_.max_tokens || usage_.output_tokens < *request_.max_tokens;
  }

  void take(std::span<const harmony::ParseEvent> parsed, bool is_complete);
  void start_message(const harmony::Message& message);
  void add_text(std::string_view text);
  void end_message(const harmony::Message& message, bool is_complete);
  bool ends_in_header(std::span<const harmony::ParseEvent> parsed) const;
  void settle(engine::FinishReason reason);

  harmony::Encoding encoding_;
  TurnRequest request_;
  TurnPrompt prompt_;
  std::shared_ptr<const grammar::HeaderGrammar> grammar_;
  std::optional<harmony::StreamParser> parser_;  // of the generation under way
  std::optional<OpenMessage> open_;
  int num_header_tokens_ = 0;         // sampled since the last message ended
  std::optional<Destination> ended_;  // the last message of the generation, when it is complete
  const tools::Tool* pending_tool_ = nullptr;
  bool is_stopped_ = false;
  int num_generations_ = 0;
  int num_tool_calls_ = 0;
  std::size_t num_rendered_ = 0;  // of messages_, in the prompt
  TurnEnd end_ = TurnEnd::kAnswer;
  TurnUsage usage_;
  harmony::RepairCounts repair_counts_{};  // of the generations before
  std::vector<harmony::Message> messages_;
  std::vector<Event> events_;
};

}  // namespace gossamer::chat
