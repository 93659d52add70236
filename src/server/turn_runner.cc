#include "server/turn_runner.h"

#include <fmt/format.h>

#include <boost/asio/this_coro.hpp>
#include <optional>
#include <span>
#include <utility>

#include "base/stopwatch.h"
#include "server/mailbox.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kToolPatience{120};

/// Times between tokens, as the client sees them.
class TokenClock {
 public:
  explicit TokenClock(Metrics& metrics) : metrics_(metrics) {}

  void tick() {
    const double seconds = since_last_.seconds();
    if (is_first_) {
      metrics_.time_to_first_token(seconds);
    } else {
      metrics_.inter_token(seconds);
    }
    is_first_ = false;
    since_last_ = Stopwatch();
  }

 private:
  Metrics& metrics_;
  Stopwatch since_last_;
  bool is_first_ = true;
};

/// What an update ended, if anything.
enum class Outcome { kGoesOn, kFinished };

/// One generation of a turn, from the prompt to the end.
class GenerationRun {
 public:
  GenerationRun(TurnContext context, chat::Turn& turn, const TurnOutput& output)
      : turn_(turn), output_(output), generator_(*context.generator), clock_(context.metrics) {}

  asio::awaitable<api::ApiResult<void>> run() {
    auto request = turn_.next_generation();
    if (!request.ok()) co_return api::from_error(request.error());
    const auto executor = co_await asio::this_coro::executor;
    Mailbox<engine::Update> mailbox(executor);
    const auto generation = generator_.submit(
        std::move(*request),
        [slot = mailbox.slot()](const engine::Update& update) { slot->push(update); }
    );
    if (!generation.ok()) co_return api::from_error(generation.error());
    output_.take({});
    co_await output_.flush();
    while (true) {
      const std::span<const engine::Update> updates = co_await mailbox.next(kHeartbeat);
      const api::ApiResult<Outcome> outcome = take(updates);
      co_await output_.flush();
      if (!outcome.ok()) co_return outcome.error();
      if (*outcome == Outcome::kFinished) co_return api::ApiResult<void>();
    }
  }

 private:
  api::ApiResult<Outcome> take(std::span<const engine::Update> updates) {
    if (updates.empty()) output_.take({});
    for (const engine::Update& update : updates) {
      if (update.error) return api::from_error(*update.error);
      if (take(update) == Outcome::kFinished) return Outcome::kFinished;
    }
    return Outcome::kGoesOn;
  }

  Outcome take(const engine::Update& update) {
    if (update.sampled) {
      clock_.tick();
      pass_on(turn_.push(*update.sampled));
    }
    auto reason = update.finish;
    if (turn_.is_stopped()) reason = engine::FinishReason::kStop;
    if (!reason) return Outcome::kGoesOn;
    pass_on(turn_.finish_generation(*reason, update.num_cached_tokens));
    return Outcome::kFinished;
  }

  void pass_on(std::span<const chat::Event> events) {
    if (!events.empty()) output_.take(events);
  }

  chat::Turn& turn_;
  const TurnOutput& output_;
  engine::Generator& generator_;
  TokenClock clock_;
};

/// What a tool says. One that fails in a way it does not know tells the model so: the turn goes on.
tools::ToolResult tool_result(
    const tools::Tool& tool, const harmony::Message& call, const std::stop_token& stop
) {
  try {
    return tool.run(call, stop);
  } catch (const std::exception& exception) {
    return {.output = fmt::format("the tool failed: {}", exception.what()), .failed = true};
  }
}

asio::awaitable<tools::ToolResult> run_tool(TurnContext context, const chat::Turn& turn) {
  // Tools live as long as the server, the call only as long as the turn.
  auto work = [tool = turn.pending_tool(), call = *turn.pending_call()](const std::stop_token& stop
              ) { return tool_result(*tool, call, stop); };
  auto result = co_await context.pool.run(std::move(work), kToolPatience);
  if (result) co_return std::move(*result);
  tools::ToolResult late;
  late.output = fmt::format("the tool did not answer within {} seconds", kToolPatience.count());
  late.failed = true;
  co_return late;
}

}  // namespace

asio::awaitable<api::ApiResult<chat::TurnEnd>> run_turn(
    TurnContext context, chat::Turn& turn, const TurnOutput& output
) {
  while (true) {
    GenerationRun generation(context, turn, output);
    const api::ApiResult<void> done = co_await generation.run();
    if (!done.ok()) co_return done.error();
    if (turn.pending_call() == nullptr) break;
    tools::ToolResult result = co_await run_tool(context, turn);
    const auto events = turn.add_tool_result(std::move(result));
    if (!events.empty()) output.take(events);
    co_await output.flush();
  }
  context.metrics.header_repairs(turn.repair_counts());
  co_return turn.end();
}

}  // namespace gossamer::server
