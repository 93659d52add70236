#pragma once

#include <boost/asio/awaitable.hpp>
#include <span>
#include <string>
#include <vector>

#include "api/responses_conversation.h"
#include "api/responses_request.h"
#include "api/responses_stream.h"
#include "server/output.h"
#include "server/response_history.h"
#include "server/service.h"

namespace gossamer::server {

/// Where the events of a response go.
using EventOutput = Output<std::vector<api::StreamEvent>>;

/// One response, from the request to the stored object, however it is asked for. Lives in one
/// coroutine.
class ResponseRun {
 public:
  ResponseRun(
      Service& service,
      const ServedModel& model,
      api::ResponsesRequest request,
      History history,
      Asker asker
  );

  const api::ResponsesRequest& request() const { return request_; }
  const std::string& id() const { return stream_.id(); }
  api::Json response() const { return stream_.response(); }

  /// Makes the response. An error means that nothing was begun: no event was given out. What goes
  /// wrong later is in the events and in the object. The response is stored before its last events
  /// are given out.
  boost::asio::awaitable<api::ApiResult<void>> run(const EventOutput& output);

  /// After run() gave an error, or was cancelled by the server: the same in the object and in
  /// events, for whoever was told before that there would be a response.
  boost::asio::awaitable<void> fail(const api::ApiError& error, const EventOutput& output);

  /// After run() was cancelled: says so in the object, stores it and gives out the last events.
  boost::asio::awaitable<void> call_off(const EventOutput& output);

 private:
  api::ApiResult<chat::Turn> make_turn();
  boost::asio::awaitable<api::ApiResult<chat::TurnEnd>> run_turn(
      chat::Turn& turn, const EventOutput& output
  );
  std::vector<api::StreamEvent> take(std::span<const chat::Event> events);
  boost::asio::awaitable<void> end(std::vector<api::StreamEvent> events, const EventOutput& output);
  boost::asio::awaitable<void> keep();

  Service& service_;
  const ServedModel& model_;
  api::ResponsesRequest request_;
  History history_;
  Asker asker_;
  api::ResponsesStream stream_;
  chat::TurnUsage usage_;
  bool has_begun_ = false;
};

}  // namespace gossamer::server
