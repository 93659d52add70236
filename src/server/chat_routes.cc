// Chat Completions.

#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "api/chat_completions_request.h"
#include "api/chat_completions_stream.h"
#include "api/json_reader.h"
#include "server/chunk_stream.h"
#include "server/endpoints.h"
#include "server/turn_runner.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

/// One completion: its request, and what has become of it.
struct ChatRun {
  ChatRun(const ServedModel& served, api::ChatCompletionsRequest read)
      : model(served),
        request(std::move(read)),
        head{.id = request.id, .model = request.model, .created = std::time(nullptr)},
        stream(request, model.encoding.tokenizer(), head) {}

  const ServedModel& model;
  api::ChatCompletionsRequest request;
  api::CompletionHead head;
  api::ChatCompletionsStream stream;
  chat::TurnUsage usage;
};

api::ApiResult<api::ChatCompletionsRequest> read_request(
    Service& service, const ServedModel& model, const http::Request& http_request
) {
  const auto body = api::parse_body(http_request.body);
  if (!body.ok()) return body.error();
  const api::ChatDefaults defaults = chat_defaults(service, model);
  auto request = api::read_chat_completions_request(*body, defaults);
  if (!request.ok()) return request.error();
  request->turn.user = service.asker_of(http_request).user(request->turn.user);
  service.log_warnings(http_request, request->warnings);
  return request;
}

/// Runs the turn; every chunk goes to `output`. An error before the first chunk means that nothing
/// was begun.
asio::awaitable<api::ApiResult<void>> run(
    Service& service, ChatRun& run, const ChunkOutput& output
) {
  auto turn = chat::Turn::create(run.model.encoding, run.request.turn);
  if (!turn.ok()) co_return api::from_error(turn.error());
  bool has_begun = false;
  const EventSink sink = [&](std::span<const chat::Event> events) -> asio::awaitable<void> {
    std::vector<api::Json> chunks;
    if (!std::exchange(has_begun, true)) {
      chunks.push_back(run.stream.begin());
    } else {
      chunks = run.stream.push(events);
      if (chunks.empty() && !events.empty()) co_return;
    }
    co_await output(chunks);
  };
  const TurnContext context{run.model.generator.get(), service.tool_pool(), service.metrics()};
  const auto end = co_await run_turn(context, *turn, sink);
  if (!end.ok()) {
    api::ApiError error = end.error();
    if (error.param == "input") error.param = "messages";
    co_return error;
  }
  run.usage = turn->usage();
  const std::vector<api::Json> chunks = run.stream.finish(*end, run.usage);
  co_await output(chunks);
  co_return api::ApiResult<void>();
}

asio::awaitable<void> create(Service& service, http::Exchange& exchange) {
  const auto model = co_await service.model().wait();
  if (!model.ok()) {
    co_await reply_error(service, exchange, model.error());
    co_return;
  }
  auto request = read_request(service, **model, exchange.request());
  if (!request.ok()) {
    co_await reply_error(service, exchange, request.error());
    co_return;
  }
  const auto chat = std::make_unique<ChatRun>(**model, std::move(*request));
  const ChunkSource source = [&](const ChunkOutput& output) { return run(service, *chat, output); };
  if (chat->request.stream) {
    co_await answer_stream(service, exchange, source);
    co_return;
  }
  api::ChatCompletion completion;
  const auto collect = [&](const api::Json& chunk) { completion.add(chunk); };
  const auto object = [&] { return completion.json(chat->head, chat->usage); };
  co_await answer_whole(service, exchange, source, collect, object);
}

}  // namespace

api::ChatDefaults chat_defaults(const Service& service, const ServedModel& model) {
  return {
      .model = model.names.front(),
      .date = service.options().date(std::time(nullptr)),
      .tools = service.options().tools};
}

void add_chat_routes(Router& router, Service& service) {
  router.add(
      "POST",
      "/v1/chat/completions",
      [&service](http::Exchange& exchange, const std::string&) { return create(service, exchange); }
  );
}

}  // namespace gossamer::server
