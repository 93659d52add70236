#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/custom_tool_input.h"
#include "api/ids.h"
#include "api/output_events.h"
#include "api/output_item.h"
#include "api/responses_request.h"
#include "api/sealed_reasoning.h"
#include "chat/event.h"
#include "chat/turn.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::api {

/// What a response is made with, besides its request.
struct StreamContext {
  std::int64_t created_at = 0;            ///< unix seconds
  const SealedReasoning* seal = nullptr;  ///< outlives the stream; null: nothing is sealed
  const tokenizer::Tokenizer& tokenizer;  ///< outlives the stream; for log-probabilities
};

/// A response while it is made: events of a turn in, events of the Responses API out. Also gives
/// the response object, at any time: who does not stream drops the events. Every stream is
///
///   start, then push and heartbeat in any order, then finish, fail or cancel
///
/// and then its events satisfy the clients that check them: each item is added before its text,
/// has one id and one index, and is done, whatever cut it short. One thread at a time.
class ResponsesStream {
 public:
  ResponsesStream(const ResponsesRequest& request, const StreamContext& context);

  const std::string& id() const { return id_; }

  /// response.created and response.in_progress.
  std::vector<StreamEvent> start();

  std::vector<StreamEvent> push(std::span<const chat::Event> events);

  /// response.in_progress again, with all there is so far: a sign of life.
  std::vector<StreamEvent> heartbeat();

  /// response.completed, or response.incomplete after kLength.
  std::vector<StreamEvent> finish(
      chat::TurnEnd end, const chat::TurnUsage& usage, std::int64_t completed_at
  );

  /// response.failed: what went wrong after the stream began.
  std::vector<StreamEvent> fail(const ApiError& error, const chat::TurnUsage& usage);

  /// The response was called off. Its event is response.incomplete, for clients know no event of
  /// cancelling; its status says "cancelled".
  std::vector<StreamEvent> cancel(const chat::TurnUsage& usage);

  /// The response object as it is now.
  Json response() const;

 private:
  /// What a message of the turn has become.
  struct Open {
    OutputItem item;
    CustomToolInput input;  // of custom tools
    bool is_announced = false;
    bool text_is_over = false;
  };

  void take(const chat::MessageStarted& started);
  void take(const chat::TextAdded& added);
  void take(const chat::MessageEnded& ended);
  void take(const chat::ToolFinished& finished);

  OutputItem make_item(const chat::MessageStarted& started);
  void announce(Open& open);
  void add_text(Open& open, std::string_view text, const Json& logprobs);
  void end_text(Open& open);
  void close(std::size_t message, std::string status);
  void close_all();
  std::vector<StreamEvent> end(std::string_view event, const chat::TurnUsage& usage);

  std::string id_;
  std::int64_t created_at_;
  Json echo_;
  ToolRegistry tools_;
  const SealedReasoning* seal_;
  const tokenizer::Tokenizer* tokenizer_;  // null: no log-probabilities
  ItemIds ids_;
  EventWriter writer_;
  std::map<std::size_t, Open> open_;  // by message
  std::vector<Json> done_;            // items, by output index; null while open
  std::string status_ = "in_progress";
  Json error_;
  Json incomplete_details_;
  Json usage_;
  Json completed_at_;
};

}  // namespace gossamer::api
