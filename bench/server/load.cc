// Many users at once, for a while: `server_load URL`; --help lists the options.
//
// N users ask one question after another, of mixed lengths, over both APIs, streaming; with
// --hangups, R a second of their requests are hung up on at random moments (some before the first
// byte, some in mid-answer; a part of the requests does not stream), and at the end the server must
// have no sequence and no used block left. With --short, no question has a long preface: decoding
// is what is measured. With --pid, the server's memory is watched. Prints text, or JSON; exit
// status 1 when a request failed or something was left behind.
//
// It shares the machine with the server, so what it takes for a token matters: one thread, and no
// parsing of what is only text.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <deque>
#include <future>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/server/http_client.h"
#include "bench/server/load_report.h"
#include "bench/server/questions.h"
#include "bench/server/server_state.h"
#include "bench/server/stream_events.h"

namespace gossamer::load {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxErrorBytes = 2000;
constexpr double kShareOfStreams = 0.7;  // of the requests, where some are hung up on
// To ask again at once would take the time of those who are answered.
constexpr std::chrono::milliseconds kPauseAfterRefusal{50};
constexpr std::chrono::seconds kPatience{10};  // until a server must know that all are gone
constexpr std::chrono::milliseconds kLookInterval{100};

struct Flags {
  std::string url;
  int num_streams = 32;
  double seconds = 30;
  int pid = 0;  ///< 0: nobody's memory is watched
  double hangups = 0;
  int max_tokens = 200;
  std::string key;
  bool is_short = false;
  std::uint64_t seed = 1;
  bool prints_json = false;
};

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

Clock::duration to_duration(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

struct User {
  Connection connection;
  bool is_asking = false;
  bool is_hung_up = false;
};

/// An answer as it comes.
class Answer {
 public:
  Answer(bool streams, Tally& tally)
      : streams_(streams), tally_(tally), reader_([this](const Event& event) { take(event); }) {}

  void push(std::string_view bytes) {
    beginning_ += bytes.substr(0, kMaxErrorBytes - beginning_.size());
    if (streams_) reader_.push(bytes);
  }

  /// Counts it, once it is over. Throws when it is not what was asked for.
  void finish(int status) {
    const std::string& failure = outcome_.failure;
    if (status != 200 || !failure.empty()) {
      const std::string& reason = failure.empty() ? beginning_ : failure;
      throw std::runtime_error(fmt::format("{}: {}", status, reason));
    }
    if (streams_ && !outcome_.output_tokens) {
      throw std::runtime_error("a stream ended early: " + beginning_);
    }
    tally_.num_tokens += outcome_.output_tokens.value_or(0);
    ++tally_.num_completed;
  }

 private:
  void take(const Event& event) {
    if (!take_event(event, outcome_)) return;
    const auto now = Clock::now();
    auto& times = has_text_ ? tally_.between_tokens : tally_.to_first_token;
    times.push_back(seconds_between(last_, now));
    has_text_ = true;
    last_ = now;
  }

  bool streams_;
  Tally& tally_;
  EventReader reader_;
  Outcome outcome_;
  std::string beginning_;  // for messages of errors
  bool has_text_ = false;
  Clock::time_point last_ = Clock::now();  // when it was asked for, or text came
};

class Load {
 public:
  Load(const Flags& flags, Server server)
      : flags_(flags),
        server_(std::move(server)),
        questions_(
            {.max_tokens = flags.max_tokens, .has_prefaces = !flags.is_short, .seed = flags.seed}
        ),
        observer_(context_.get_executor(), server_) {
    for (int i = 0; i < flags.num_streams; ++i) {
      users_.push_back({Connection(context_.get_executor(), server_)});
    }
  }

  Report run() {
    const double before = generated_tokens(await(read_metrics()));
    begin_ = Clock::now();
    deadline_ = begin_ + to_duration(flags_.seconds);
    ask_until_deadline(before);
    tally_.seconds = seconds_between(begin_, Clock::now());
    const Metrics after = await(settle());
    tally_.num_generated = static_cast<std::int64_t>(generated_tokens(after) - before);
    return make_report(tally_, flags_.num_streams, left_behind(after));
  }

 private:
  template <class T>
  T await(asio::awaitable<T> work) {
    auto result = asio::co_spawn(context_, std::move(work), asio::use_future);
    context_.restart();
    context_.run();
    return result.get();
  }

  void ask_until_deadline(double generated_before) {
    std::vector<std::future<void>> all;
    const auto start = [&](asio::awaitable<void> work) {
      all.push_back(asio::co_spawn(context_, std::move(work), asio::use_future));
    };
    start(measure_rate(generated_before));
    for (User& user : users_) start(ask_in_turn(user));
    if (flags_.hangups > 0) start(hang_up_now_and_then());
    if (flags_.pid > 0) start(watch_memory());
    context_.restart();
    context_.run();
    for (auto& done : all) done.get();
  }

  asio::awaitable<void> ask_in_turn(User& user) {
    while (Clock::now() < deadline_) {
      ++tally_.num_requests;
      user.is_asking = true;
      user.is_hung_up = false;
      bool was_refused = false;
      try {
        was_refused = co_await ask(user) != 200;
      } catch (const std::exception& error) {
        was_refused = !user.is_hung_up;
        if (was_refused) add_error(tally_, message_of(error));
        if (user.is_hung_up) ++tally_.num_hung_up;
      }
      user.is_asking = false;
      if (was_refused) co_await sleep_until(Clock::now() + kPauseAfterRefusal);
    }
  }

  /// One request; its status, which is 200, or 429 where the server is busy. The user may be hung
  /// up on at any moment.
  asio::awaitable<int> ask(User& user) {
    const bool uses_chat = questions_.happens(0.5);
    const bool streams = flags_.hangups == 0 || questions_.happens(kShareOfStreams);
    const char* path = uses_chat ? "/v1/chat/completions" : "/v1/responses";
    const auto body =
        uses_chat ? questions_.chat_completion(streams) : questions_.response(streams);
    const HttpRequest request = make_post(server_, path, body.dump());
    Answer answer(streams, tally_);
    const Connection::DataHandler on_data = [&](std::string_view bytes) { answer.push(bytes); };
    const int status = co_await user.connection.exchange(request, on_data);
    if (status == 429) {
      ++tally_.num_busy;
    } else {
      answer.finish(status);
    }
    co_return status;
  }

  asio::awaitable<void> hang_up_now_and_then() {
    auto next = Clock::now() + to_duration(questions_.next_seconds(flags_.hangups));
    while (next < deadline_) {
      co_await sleep_until(next);
      hang_up_on_someone();
      next += to_duration(questions_.next_seconds(flags_.hangups));
    }
  }

  void hang_up_on_someone() {
    std::vector<User*> candidates;
    for (User& user : users_) {
      if (user.is_asking) candidates.push_back(&user);
    }
    if (candidates.empty()) return;
    User& user = *candidates[questions_.below(static_cast<int>(candidates.size()))];
    user.is_hung_up = true;
    user.connection.close();
  }

  asio::awaitable<void> watch_memory() {
    const auto interval = to_duration(std::clamp(flags_.seconds / 50, 0.2, 5.0));
    for (auto now = Clock::now(); now < deadline_; now = Clock::now()) {
      const auto mib = resident_mib(flags_.pid);
      if (!mib) co_return;
      tally_.memory.push_back({seconds_between(begin_, now), *mib});
      co_await sleep_until(now + interval);
    }
  }

  /// Tokens a second while all streams are busy: not while the last answers come to their end.
  asio::awaitable<void> measure_rate(double generated_before) {
    co_await sleep_until(deadline_);
    const Metrics metrics = co_await read_metrics();
    const double seconds = seconds_between(begin_, Clock::now());
    tally_.tokens_per_second = (generated_tokens(metrics) - generated_before) / seconds;
  }

  /// When nobody asks any more, the server has some seconds to notice. What it then holds.
  asio::awaitable<Metrics> settle() {
    const auto until = Clock::now() + kPatience;
    Metrics metrics = co_await read_metrics();
    while (!left_behind(metrics).empty() && Clock::now() < until) {
      co_await sleep_until(Clock::now() + kLookInterval);
      metrics = co_await read_metrics();
    }
    co_return metrics;
  }

  asio::awaitable<Metrics> read_metrics() {
    const HttpRequest request = make_get(server_, "/metrics");
    observer_.close();  // the server has, where it was idle for long
    std::string text;
    const Connection::DataHandler on_data = [&](std::string_view bytes) { text += bytes; };
    int status = 0;
    try {
      status = co_await observer_.exchange(request, on_data);
    } catch (const std::exception& error) {
      throw std::runtime_error("/metrics: " + message_of(error));
    }
    if (status != 200) throw std::runtime_error(fmt::format("/metrics: {}: {}", status, text));
    co_return parse_metrics(text);
  }

  asio::awaitable<void> sleep_until(Clock::time_point time) {
    asio::steady_timer timer(context_, time);
    co_await timer.async_wait(asio::use_awaitable);
  }

  const Flags& flags_;
  Server server_;
  Questions questions_;
  Tally tally_;
  Clock::time_point begin_;
  Clock::time_point deadline_;
  asio::io_context context_{1};
  Connection observer_;     // of the metrics
  std::deque<User> users_;  // they stay where they are
};

void add_flags(CLI::App& app, Flags& flags) {
  app.add_option("URL", flags.url, "Of the server: http://127.0.0.1:8000")->required();
  app.add_option("--streams", flags.num_streams, "Users")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--seconds", flags.seconds, "How long they ask")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--pid", flags.pid, "Watch the memory of this process")
      ->check(CLI::PositiveNumber);
  app.add_option("--hangups", flags.hangups, "Requests to hang up on, a second")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max-tokens", flags.max_tokens, "Of an answer; each has a limit up to this")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--key", flags.key, "API key");
  app.add_flag("--short", flags.is_short, "Ask without long prefaces");
  app.add_option("--seed", flags.seed, "Of what is random")->capture_default_str();
  app.add_flag("--json", flags.prints_json, "Print JSON");
}

Result<Server> find_server(const Flags& flags) {
  if (flags.pid > 0 && !resident_mib(flags.pid)) {
    return make_error(ErrorCode::kNotFound, "--pid {}: there is no such process", flags.pid);
  }
  GOSSAMER_ASSIGN_OR_RETURN(Url url, parse_url(flags.url));
  GOSSAMER_ASSIGN_OR_RETURN(const auto endpoint, find_endpoint(url));
  return Server{.url = std::move(url), .endpoint = endpoint, .key = flags.key};
}

int run(const Flags& flags) {
  Result<Server> server = find_server(flags);
  if (!server.ok()) throw std::runtime_error(server.error().message);
  Load load(flags, std::move(*server));
  const Report report = load.run();
  if (flags.prints_json) {
    fmt::print("{}\n", report.dump(-1, ' ', false, Report::error_handler_t::replace));
  } else {
    fmt::print("{}", to_table(report));
  }
  return report.at("errors") > 0 || !report.at("left_behind").empty() ? 1 : 0;
}

}  // namespace
}  // namespace gossamer::load

int main(int argc, char** argv) {
  CLI::App app("Many users at once, for a while, against a server of OpenAI's API");
  gossamer::load::Flags flags;
  gossamer::load::add_flags(app, flags);
  CLI11_PARSE(app, argc, argv);
  try {
    return gossamer::load::run(flags);
  } catch (const std::exception& error) {
    fmt::print(stderr, "server_load: {}\n", gossamer::load::message_of(error));
    return 1;
  }
}
