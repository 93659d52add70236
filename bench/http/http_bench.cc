// What the server itself costs: requests of a trivial handler, and events of one stream, in wall
// time and in CPU time of the server's only thread. Clients are plain sockets in threads of their
// own.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "base/stopwatch.h"
#include "http/server.h"
#include "http/sse.h"

namespace {

namespace http = gossamer::http;
namespace asio = boost::asio;

constexpr int kNumEvents = 200'000;
constexpr int kNumPacedEvents = 4'000;
constexpr int kNumRequests = 20'000;  // of each client

// About as long as the event of a token in the Responses API.
std::string token_event() {
  std::string event;
  http::append_sse_event(event, "response.output_text.delta", std::string(180, 'x'));
  return event;
}

asio::awaitable<void> handle(http::Exchange& exchange) {
  const std::string path = exchange.request().path;
  if (path == "/reply") {
    std::string body(100, 'x');
    co_await exchange.reply(200, "application/json", std::move(body));
    co_return;
  }
  co_await exchange.begin_stream(http::kEventStream);
  asio::steady_timer timer(exchange.executor());
  const int num_events = path == "/paced" ? kNumPacedEvents : kNumEvents;
  auto next = std::chrono::steady_clock::now();
  for (int i = 0; i < num_events; ++i) {
    if (path == "/paced") {
      timer.expires_at(next += std::chrono::microseconds(500));
      co_await timer.async_wait(asio::use_awaitable);
    }
    co_await exchange.send(token_event());
  }
  co_await exchange.end_stream();
}

int connect_to(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    std::perror("connect");
    std::exit(1);
  }
  return client;
}

// Sends a request and reads until the answer ends with `end`.
void exchange_with(int client, const std::string& path, std::string_view end) {
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  if (::send(client, request.data(), request.size(), 0) < 0) std::exit(1);
  static thread_local std::array<char, 1 << 20> chunk;
  std::string tail;
  while (!tail.ends_with(end)) {
    const auto size = ::recv(client, chunk.data(), chunk.size(), 0);
    if (size <= 0) std::exit(1);
    tail.append(chunk.data(), static_cast<std::size_t>(size));
    if (tail.size() > 64) tail.erase(0, tail.size() - 64);
  }
}

class BenchedServer {
 public:
  BenchedServer()
      : server_(std::move(http::Server::create(
                              context_,
                              {.port = 0},
                              handle,
                              [](int, const std::string&) { return std::string(); },
                              nullptr
                          ))
                    .value()),
        thread_([this] { context_.run(); }) {}
  ~BenchedServer() {
    context_.stop();
    thread_.join();
  }
  BenchedServer(const BenchedServer&) = delete;
  BenchedServer& operator=(const BenchedServer&) = delete;

  std::uint16_t port() const { return server_->port(); }

  // CPU time of the server's thread.
  double cpu_seconds() {
    std::promise<double> seconds;
    asio::post(context_, [&seconds] {
      rusage usage{};
      ::getrusage(RUSAGE_THREAD, &usage);
      const auto sum = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
      };
      seconds.set_value(sum(usage.ru_utime) + sum(usage.ru_stime));
    });
    return seconds.get_future().get();
  }

 private:
  asio::io_context context_{1};
  std::unique_ptr<http::Server> server_;
  std::thread thread_;
};

template <class Work>
void report(BenchedServer& server, const char* name, int count, Work work) {
  const double before = server.cpu_seconds();
  const gossamer::Stopwatch stopwatch;
  work();
  const double seconds = stopwatch.seconds();
  const double cpu = server.cpu_seconds() - before;
  fmt::print("{:40} {:10.0f} /s {:8.2f} us CPU each\n", name, count / seconds, 1e6 * cpu / count);
}

void run_clients(std::uint16_t port, int num_clients) {
  std::vector<std::thread> clients;
  for (int i = 0; i < num_clients; ++i) {
    clients.emplace_back([port] {
      const int client = connect_to(port);
      const std::string end(100, 'x');
      for (int k = 0; k < kNumRequests; ++k) exchange_with(client, "/reply", end.substr(0, 50));
      ::close(client);
    });
  }
  for (auto& client : clients) client.join();
}

}  // namespace

int main() {
  BenchedServer server;
  for (const int num_clients : {1, 8}) {
    const std::string name = fmt::format("requests, {} clients", num_clients);
    report(server, name.c_str(), num_clients * kNumRequests, [&] {
      run_clients(server.port(), num_clients);
    });
  }
  const int client = connect_to(server.port());
  report(server, "events of one stream, unpaced", kNumEvents, [&] {
    exchange_with(client, "/stream", "\r\n0\r\n\r\n");
  });
  report(server, "events of one stream, 2000 a second", kNumPacedEvents, [&] {
    exchange_with(client, "/paced", "\r\n0\r\n\r\n");
  });
  ::close(client);
}
