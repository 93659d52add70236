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
    Service& service, ChatRun& run, const ChunkOutput<api::ChatChunk>& output
) {
  auto turn = chat::Turn::create(run.model.encoding, run.request.turn);
  if (!turn.ok()) co_return api::from_error(turn.error());
  bool has_begun = false;
  const auto take = [&](std::span<const chat::Event> events) {
    std::vector<api::ChatChunk> chunks;
    if (!std::exchange(has_begun, true)) {
      chunks.push_back(run.stream.begin());
    } else {
      chunks = run.stream.push(events);
      if (chunks.empty() && !events.empty()) return;
    }
    output.take(chunks);
  };
  const TurnOutput turn_output{take, output.flush};
  const TurnContext context{run.model.generator.get(), service.tool_pool(), service.metrics()};
  const auto end = co_await run_turn(context, *turn, turn_output);
  if (!end.ok()) {
    api::ApiError error = end.error();
    if (error.param == "input") error.param = "messages";
    co_return error;
  }
  run.usage = turn->usage();
  const std::vector<api::ChatChunk> chunks = run.stream.finish(*end, run.usage);
  output.take(chunks);
  co_await output.flush();
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
  if (chat->request.stream) {
    SseAnswer answer(exchange);
    const auto to_text = [&](const api::ChatChunk& chunk) { return chat->stream.text_of(chunk); };
    const auto output = chunks_to<api::ChatChunk>(answer, to_text);
    auto chunks = run(service, *chat, output);
    co_await answer_stream(service, exchange, answer, std::move(chunks));
  } else {
    api::ChatCompletion completion;
    const auto output = chunks_into<api::ChatChunk>(completion);
    const auto object = [&] { return completion.json(chat->head, chat->usage); };
    auto chunks = run(service, *chat, output);
    co_await answer_whole(service, exchange, std::move(chunks), object);
  }
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
