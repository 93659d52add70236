#include "server/response_run.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <utility>

#include "server/turn_runner.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kStorePatience{60};

api::StreamContext stream_context(Service& service, const ServedModel& model) {
  return {
      .created_at = std::time(nullptr),
      .seal = &service.seal(),
      .tokenizer = model.encoding.tokenizer()};
}

}  // namespace

ResponseRun::ResponseRun(
    Service& service,
    const ServedModel& model,
    api::ResponsesRequest request,
    History history,
    Asker asker
)
    : service_(service),
      model_(model),
      request_(std::move(request)),
      history_(std::move(history)),
      asker_(std::move(asker)),
      stream_(request_, stream_context(service, model)) {}

api::ApiResult<chat::Turn> ResponseRun::make_turn() {
  const api::ConversationContext context{
      .date = service_.options().date(history_.began),
      .tools = service_.options().tools,
      .seal = &service_.seal()};
  auto conversation = api::build_conversation(request_, history_.items, context, request_.warnings);
  chat::TurnRequest turn_request =
      api::make_turn_request(request_, std::move(conversation), context);
  turn_request.user = asker_.user(turn_request.user);
  auto turn = chat::Turn::create(model_.encoding, std::move(turn_request));
  if (!turn.ok()) return api::from_error(turn.error());
  return std::move(*turn);
}

asio::awaitable<api::ApiResult<void>> ResponseRun::run(const EventOutput& output) {
  while (true) {
    api::ApiResult<chat::Turn> turn = make_turn();
    if (!turn.ok()) co_return turn.error();
    const api::ApiResult<chat::TurnEnd> end_of_turn = co_await run_turn(*turn, output);
    if (end_of_turn.ok()) {
      co_await end(stream_.finish(*end_of_turn, usage_, std::time(nullptr)), output);
      co_return api::ApiResult<void>();
    }
    const api::ApiError& error = end_of_turn.error();
    if (has_begun_) {
      co_await end(stream_.fail(error, usage_), output);
      co_return api::ApiResult<void>();
    }
    const bool is_too_long = error.code == "context_length_exceeded";
    if (!is_too_long || !request_.truncates || !api::drop_oldest_turn(history_.items))
      co_return error;
  }
}

asio::awaitable<api::ApiResult<chat::TurnEnd>> ResponseRun::run_turn(
    chat::Turn& turn, const EventOutput& output
) {
  const auto pass_on = [&](std::span<const chat::Event> events) {
    usage_ = turn.usage();
    std::vector<api::StreamEvent> made = take(events);
    if (!made.empty()) output.take(std::move(made));
  };
  const TurnOutput turn_output{pass_on, output.flush};
  const TurnContext context{model_.generator.get(), service_.tool_pool(), service_.metrics()};
  auto result = co_await server::run_turn(context, turn, turn_output);
  usage_ = turn.usage();
  co_return result;
}

std::vector<api::StreamEvent> ResponseRun::take(std::span<const chat::Event> events) {
  if (!std::exchange(has_begun_, true)) return stream_.start();
  return events.empty() ? stream_.heartbeat() : stream_.push(events);
}

asio::awaitable<void> ResponseRun::fail(const api::ApiError& error, const EventOutput& output) {
  std::vector<api::StreamEvent> events;
  if (!std::exchange(has_begun_, true)) events = stream_.start();
  std::vector<api::StreamEvent> failure = stream_.fail(error, usage_);
  std::move(failure.begin(), failure.end(), std::back_inserter(events));
  co_await end(std::move(events), output);
}

asio::awaitable<void> ResponseRun::call_off(const EventOutput& output) {
  co_await end(stream_.cancel(usage_), output);
}

asio::awaitable<void> ResponseRun::end(
    std::vector<api::StreamEvent> events, const EventOutput& output
) {
  // Whoever sees the last event may ask for the response, or go on from it.
  co_await keep();
  output.take(std::move(events));
  co_await output.flush();
}

asio::awaitable<void> ResponseRun::keep() {
  if (!request_.store || service_.store() == nullptr) co_return;
  store::StoredResponse record{
      .id = id(),
      .response = api::to_text(stream_.response()),
      .input = api::to_text(request_.input),
      .previous_id = request_.previous_response_id,
      .owner = asker_.owner,
      .created_at = std::time(nullptr)};
  auto put = [store = service_.store(), record = std::move(record)](const std::stop_token&) {
    return store->put(record);
  };
  const auto status = co_await service_.pool().run(std::move(put), kStorePatience);
  if (status && status->ok()) co_return;
  const std::string reason = status ? status->error().message : "the disk did not answer";
  service_.log().error("response not stored", {{"id", id()}, {"reason", reason}});
}

}  // namespace gossamer::server
