#include "tests/http/running_server.h"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <stdexcept>

#include "http/sse.h"

namespace gossamer::http {

namespace asio = boost::asio;

namespace {

class Counted {
 public:
  explicit Counted(std::atomic<int>& counter) : counter_(counter) { ++counter_; }
  ~Counted() { --counter_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<int>& counter_;
};

std::string value(const Request& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

asio::awaitable<void> echo(Exchange& exchange) {
  const Request& request = exchange.request();
  std::string text = request.method + "\n" + request.path + "\n" + value(request, "name") + "\n" +
                     request.body + "\n" + request.client;
  co_await exchange.reply(200, "text/plain", std::move(text));
}

asio::awaitable<void> wait_for_ever(Exchange& exchange) {
  asio::steady_timer timer(exchange.executor(), asio::steady_timer::time_point::max());
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> stream(Exchange& exchange) {
  co_await exchange.begin_stream(kEventStream);
  const int num_events = std::stoi(value(exchange.request(), "n"));
  for (int i = 0; i < num_events; ++i) {
    std::string event;
    append_sse_event(event, "count", std::to_string(i));
    co_await exchange.send(std::move(event));
  }
  co_await exchange.end_stream();
}

asio::awaitable<void> trickle(Exchange& exchange) {
  co_await exchange.begin_stream(kEventStream);
  std::string event = "data: 1\n\n";
  co_await exchange.send(std::move(event));
  co_await wait_for_ever(exchange);
}

asio::awaitable<void> endless(Exchange& exchange) {
  co_await exchange.begin_stream("text/plain");
  for (;;) {
    std::string part(65536, 'x');
    co_await exchange.send(std::move(part));
  }
}

asio::awaitable<void> midway(Exchange& exchange) {
  co_await exchange.begin_stream(kEventStream);
  std::string event = "data: 1\n\n";
  co_await exchange.send(std::move(event));
  throw std::runtime_error("a secret");
}

asio::awaitable<void> last_words(Exchange& exchange) {
  co_await exchange.begin_stream(kEventStream);
  bool is_cancelled = false;
  try {
    co_await wait_for_ever(exchange);
  } catch (const boost::system::system_error&) {
    is_cancelled = true;
  }
  if (!is_cancelled) co_return;
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  std::string event = "data: goodbye\n\n";
  co_await exchange.send(std::move(event));
  co_await exchange.end_stream();
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

RunningServer::RunningServer(ServerOptions options, int num_threads)
    : work_(asio::make_work_guard(context_)) {
  options.port = 0;
  auto created = Server::create(
      context_,
      options,
      [this](Exchange& exchange) { return handle(exchange); },
      [](int status, const std::string& message) {
        return "{\"status\":" + std::to_string(status) + ",\"message\":\"" + message + "\"}";
      },
      [this](const AccessRecord& record) {
        const std::lock_guard lock(mutex_);
        EXPECT_TRUE(record.request->id.starts_with("req_"));
        statuses_.push_back(record.status);
      }
  );
  if (!created.ok()) throw std::runtime_error(created.error().message);
  server_ = std::move(created).value();
  for (int i = 0; i < num_threads; ++i) {
    threads_.emplace_back([this] { context_.run(); });
  }
}

RunningServer::~RunningServer() {
  begin_drain(std::chrono::seconds(0));
  EXPECT_TRUE(eventually([this] { return is_drained(); }));
  work_.reset();
  for (auto& thread : threads_) thread.join();
  EXPECT_EQ(num_waiting_, 0);
}

asio::awaitable<void> RunningServer::handle(Exchange& exchange) {
  const Counted counted(num_waiting_);
  const std::string& path = exchange.request().path;
  if (path == "/echo") {
    co_await echo(exchange);
  } else if (path == "/size") {
    co_await exchange.reply(200, "text/plain", std::to_string(exchange.request().body.size()));
  } else if (path == "/wait") {
    co_await wait_for_ever(exchange);
  } else if (path == "/stream") {
    co_await stream(exchange);
  } else if (path == "/trickle") {
    co_await trickle(exchange);
  } else if (path == "/endless") {
    co_await endless(exchange);
  } else if (path == "/big") {
    std::string body(std::stoull(value(exchange.request(), "n")), 'x');
    co_await exchange.reply(200, "text/plain", std::move(body));
  } else if (path == "/throw") {
    throw std::runtime_error("a secret");
  } else if (path == "/midway") {
    co_await midway(exchange);
  } else if (path == "/last-words") {
    co_await last_words(exchange);
  } else if (path != "/nothing") {
    co_await exchange.reply(404, "application/json", "{}");
  }
}

std::vector<int> RunningServer::statuses() {
  const std::lock_guard lock(mutex_);
  return statuses_;
}

bool RunningServer::has_no_connection() {
  return eventually([this] { return server_->num_connections() == 0; });
}

void RunningServer::begin_drain(std::chrono::seconds patience) {
  asio::co_spawn(context_, server_->drain(patience), [this](const std::exception_ptr& failure) {
    EXPECT_FALSE(failure);
    is_drained_ = true;
  });
}

}  // namespace gossamer::http
