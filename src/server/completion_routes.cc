// Completions: texts continued as they are.

#include <boost/asio/this_coro.hpp>
#include <ctime>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "api/completions_request.h"
#include "api/completions_stream.h"
#include "api/json_reader.h"
#include "server/chunk_stream.h"
#include "server/endpoints.h"
#include "server/mailbox.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

/// News of one of the prompts.
struct ChoiceUpdate {
  std::size_t choice;
  engine::Update update;
};

/// A request, all its prompts at once.
class CompletionRun {
 public:
  CompletionRun(
      const ServedModel& model,
      api::CompletionsRequest request,
      std::vector<engine::Request> generations
  )
      : model_(model),
        request_(std::move(request)),
        generations_(std::move(generations)),
        head_{.id = request_.id, .model = request_.model, .created = std::time(nullptr)},
        stream_(request_, generations_, model.encoding.tokenizer(), head_) {}

  const api::CompletionsRequest& request() const { return request_; }

  api::Json json(const api::Completion& completion) const {
    return completion.json(head_, stream_.usage());
  }

  /// Every chunk goes to `output`. An error before the first chunk means that nothing was begun.
  asio::awaitable<api::ApiResult<void>> run(const ChunkOutput<api::Json>& output) {
    const auto executor = co_await asio::this_coro::executor;
    Mailbox<ChoiceUpdate> mailbox(executor);
    const auto begun = submit_all(mailbox.slot());
    if (!begun.ok()) co_return begun.error();
    const std::vector<api::Json> first = stream_.begin();
    output.take(first);
    co_await output.flush();
    while (num_open_ > 0) {
      const auto updates = co_await mailbox.next(kHeartbeat);
      const auto taken = take(updates, output);
      co_await output.flush();
      if (!taken.ok()) co_return taken.error();
    }
    const std::vector<api::Json> last = stream_.finish();
    if (!last.empty()) output.take(last);
    co_await output.flush();
    co_return api::ApiResult<void>();
  }

 private:
  api::ApiResult<void> submit_all(const std::shared_ptr<MailSlot<ChoiceUpdate>>& slot) {
    for (std::size_t choice = 0; choice < generations_.size(); ++choice) {
      auto generation = model_.generator->submit(
          generations_[choice],
          [slot, choice](const engine::Update& update) {
            slot->push({choice, update});
          }
      );
      if (!generation.ok()) {
        api::ApiError error = api::from_error(generation.error());
        if (error.param == "input") error.param = "prompt";
        return error;
      }
      running_.push_back(std::move(*generation));
      ++num_open_;
    }
    return {};
  }

  api::ApiResult<void> take(
      std::span<const ChoiceUpdate> updates, const ChunkOutput<api::Json>& output
  ) {
    if (updates.empty()) output.take({});
    for (const ChoiceUpdate& update : updates) {
      if (update.update.error) return api::from_error(*update.update.error);
      const std::vector<api::Json> chunks = take(update.choice, update.update);
      if (!chunks.empty()) output.take(chunks);
    }
    return {};
  }

  std::vector<api::Json> take(std::size_t choice, const engine::Update& update) {
    std::vector<api::Json> chunks;
    if (running_[choice] == nullptr) return chunks;  // stopped before it knew
    if (update.sampled) chunks = stream_.push(choice, *update.sampled);
    auto reason = update.finish;
    if (stream_.is_stopped(choice)) reason = engine::FinishReason::kStop;
    if (!reason) return chunks;
    running_[choice].reset();
    --num_open_;
    for (api::Json& chunk : stream_.finish(choice, *reason, update.num_cached_tokens)) {
      chunks.push_back(std::move(chunk));
    }
    return chunks;
  }

  const ServedModel& model_;
  api::CompletionsRequest request_;
  std::vector<engine::Request> generations_;
  api::CompletionHead head_;
  api::CompletionsStream stream_;
  std::vector<std::unique_ptr<engine::Generation>> running_;  // null once over
  int num_open_ = 0;
};

asio::awaitable<api::ApiResult<std::shared_ptr<CompletionRun>>> prepare(
    Service& service, const http::Request& http_request
) {
  const auto model = co_await service.model().wait();
  if (!model.ok()) co_return model.error();
  const auto body = api::parse_body(http_request.body);
  if (!body.ok()) co_return body.error();
  auto request = api::read_completions_request(*body, (*model)->names.front());
  if (!request.ok()) co_return request.error();
  request->user = service.asker_of(http_request).user(request->user);
  const harmony::Encoding& encoding = (*model)->encoding;
  auto generations =
      api::make_engine_requests(*request, encoding.tokenizer(), encoding.turn_end_tokens());
  if (!generations.ok()) co_return generations.error();
  co_return std::make_shared<CompletionRun>(**model, std::move(*request), std::move(*generations));
}

asio::awaitable<void> create(Service& service, http::Exchange& exchange) {
  const auto run = co_await prepare(service, exchange.request());
  if (!run.ok()) {
    co_await reply_error(service, exchange, run.error());
    co_return;
  }
  CompletionRun& completion_run = **run;
  if (completion_run.request().stream) {
    SseAnswer answer(exchange);
    const auto output = chunks_to<api::Json>(answer, api::to_text);
    auto chunks = completion_run.run(output);
    co_await answer_stream(service, exchange, answer, std::move(chunks));
  } else {
    api::Completion completion(completion_run.request().prompts.size());
    const auto output = chunks_into<api::Json>(completion);
    const auto object = [&] { return completion_run.json(completion); };
    auto chunks = completion_run.run(output);
    co_await answer_whole(service, exchange, std::move(chunks), object);
  }
}

}  // namespace

void add_completion_routes(Router& router, Service& service) {
  router.add("POST", "/v1/completions", [&service](http::Exchange& exchange, const std::string&) {
    return create(service, exchange);
  });
}

}  // namespace gossamer::server
