#include "http/server.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "http/bind_policy.h"
#include "http/connection.h"
#include "http/service.h"
#include "http/stream.h"
#include "http/tls_stream.h"

namespace gossamer::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

namespace {

// Clients that are told 503, beyond max_connections; more are closed without a word.
constexpr int kTurnedAway = 64;
constexpr std::chrono::milliseconds kAcceptPause{50};

Result<tcp::endpoint> resolve(asio::io_context& context, const ServerOptions& options) {
  error_code error;
  const std::string host = host_name(options.host);
  tcp::resolver resolver(context);
  const auto found =
      resolver.resolve(host, std::to_string(options.port), tcp::resolver::passive, error);
  if (error || found.empty()) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "{}: not an address of this machine: {}",
        options.host,
        error.message()
    );
  }
  // "localhost" is often both; clients that try ::1 first go on to 127.0.0.1.
  for (const auto& entry : found) {
    if (entry.endpoint().address().is_v4()) return entry.endpoint();
  }
  return found.begin()->endpoint();
}

Error listen_error(const ServerOptions& options, const error_code& error) {
  const char* advice = error == asio::error::address_in_use  ? "; choose another port"
                       : error == asio::error::access_denied ? "; ports below 1024 are root's"
                                                             : "";
  return make_error(
      ErrorCode::kIo,
      "{}:{}: cannot listen: {}{}",
      options.host,
      options.port,
      error.message(),
      advice
  );
}

Status listen(
    tcp::acceptor& acceptor, const tcp::endpoint& endpoint, const ServerOptions& options
) {
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && endpoint.address().is_v6() && endpoint.address().is_unspecified()) {
    acceptor.set_option(asio::ip::v6_only(false), error);
  }
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return listen_error(options, error);
  return {};
}

// Small events leave at once, and the system notices clients that vanished without a goodbye, both
// while there is something to send and while there is not.
void set_options(tcp::socket& socket, std::chrono::seconds patience) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const auto set = [&socket](int name, int value) {
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, name, &value, sizeof value);
  };
  set(TCP_KEEPIDLE, 30);
  set(TCP_KEEPINTVL, 10);
  set(TCP_KEEPCNT, 3);
  set(TCP_USER_TIMEOUT, static_cast<int>(std::chrono::milliseconds(patience).count()));
}

std::string address_of(const tcp::socket& socket) {
  error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  return error ? std::string("unknown") : endpoint.address().to_string();
}

}  // namespace

/// The listening socket. Its members, but for service_, are used on strand_.
class Server::Impl : public std::enable_shared_from_this<Server::Impl> {
 public:
  Impl(asio::io_context& context, std::shared_ptr<Service> service)
      : context_(context),
        service_(std::move(service)),
        strand_(asio::make_strand(context)),
        acceptor_(strand_),
        pause_(strand_),
        left_(strand_) {}

  Status start(const ServerOptions& options);
  void stop();

  asio::any_io_executor strand() const { return strand_; }
  std::uint16_t port() const { return port_; }
  int num_connections() const { return service_->connections.size(); }
  static asio::awaitable<void> drain(std::shared_ptr<Impl> self, std::chrono::seconds patience);

 private:
  static asio::awaitable<void> accept_all(std::shared_ptr<Impl> self);
  asio::awaitable<void> accept_one();
  void admit(tcp::socket socket, asio::any_io_executor strand);
  void stop_accepting();
  asio::awaitable<void> wait_until_empty();

  asio::io_context& context_;
  const std::shared_ptr<Service> service_;
  const asio::any_io_executor strand_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  asio::steady_timer left_;  // cancelled when a connection has left
  Clock::time_point patience_ends_ = Clock::time_point::max();  // of the most impatient drain()
  std::uint16_t port_ = 0;
};

Status Server::Impl::start(const ServerOptions& options) {
  GOSSAMER_ASSIGN_OR_RETURN(const auto endpoint, resolve(context_, options));
  GOSSAMER_RETURN_IF_ERROR(listen(acceptor_, endpoint, options));
  port_ = acceptor_.local_endpoint().port();
  asio::co_spawn(strand_, accept_all(shared_from_this()), asio::detached);
  return {};
}

asio::awaitable<void> Server::Impl::accept_all(std::shared_ptr<Impl> self) {
  while (self->acceptor_.is_open()) co_await self->accept_one();
}

asio::awaitable<void> Server::Impl::accept_one() {
  const asio::any_io_executor strand = asio::make_strand(context_);
  tcp::socket socket(strand);
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  co_await acceptor_.async_accept(socket, token);
  if (!error) {
    try {
      admit(std::move(socket), strand);
    } catch (const std::exception&) {
      // No memory for this one; it is closed, and the next may have more luck.
    }
  } else if (acceptor_.is_open()) {
    // Most likely the process has no file descriptors left. The client waits in the backlog; to try
    // at once would be to spin.
    pause_.expires_after(kAcceptPause);
    co_await pause_.async_wait(token);
  }
}

void Server::Impl::admit(tcp::socket socket, asio::any_io_executor strand) {
  const int num_before = service_->connections.size();
  const int max = service_->options.max_connections;
  if (num_before >= max + kTurnedAway) return;
  set_options(socket, service_->options.send_timeout);
  std::string address = address_of(socket);
  auto stream = service_->tls ? make_tls_stream(std::move(socket), service_->tls)
                              : make_tcp_stream(std::move(socket));
  const auto mode = num_before < max ? Connection::Mode::kServe : Connection::Mode::kTurnAway;
  std::make_shared<Connection>(
      service_, std::move(strand), std::move(stream), std::move(address), mode
  )
      ->start();
}

void Server::Impl::stop_accepting() {
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

void Server::Impl::stop() {
  service_->is_draining = true;
  asio::post(strand_, [self = shared_from_this()] { self->stop_accepting(); });
  for (auto& connection : service_->connections.all()) Connection::stop_now(std::move(connection));
}

asio::awaitable<void> Server::Impl::drain(
    std::shared_ptr<Impl> self, std::chrono::seconds patience
) {
  self->patience_ends_ = std::min(self->patience_ends_, Clock::now() + patience);
  self->service_->is_draining = true;
  self->stop_accepting();
  self->service_->connections.notify([weak = self->weak_from_this()] {
    const auto alive = weak.lock();
    if (alive) asio::post(alive->strand_, [alive] { alive->left_.cancel(); });
  });
  for (auto& connection : self->service_->connections.all()) {
    Connection::stop_when_idle(std::move(connection));
  }
  co_await self->wait_until_empty();
  for (auto& connection : self->service_->connections.all()) {
    Connection::stop_now(std::move(connection));
  }
  self->patience_ends_ = Clock::time_point::max();
  co_await self->wait_until_empty();
}

asio::awaitable<void> Server::Impl::wait_until_empty() {
  while (num_connections() > 0 && Clock::now() < patience_ends_) {
    // To set it again would wake another drain() that waits for the same.
    if (left_.expiry() != patience_ends_) left_.expires_at(patience_ends_);
    error_code ignored;
    auto token = asio::redirect_error(asio::use_awaitable, ignored);
    co_await left_.async_wait(token);
  }
}

Result<std::unique_ptr<Server>> Server::create(
    asio::io_context& context,
    const ServerOptions& options,
    Handler handler,
    std::function<std::string(int status, const std::string& message)> on_error,
    std::function<void(const AccessRecord&)> on_access
) {
  auto service = std::make_shared<Service>(
      options, std::move(handler), std::move(on_error), std::move(on_access)
  );
  if (options.tls) {
    GOSSAMER_ASSIGN_OR_RETURN(service->tls, load_tls(*options.tls));
  }
  auto impl = std::make_shared<Impl>(context, std::move(service));
  GOSSAMER_RETURN_IF_ERROR(impl->start(options));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  impl_->stop();
}

std::uint16_t Server::port() const {
  return impl_->port();
}

int Server::num_connections() const {
  return impl_->num_connections();
}

asio::awaitable<void> Server::drain(std::chrono::seconds patience) {
  // On the strand of the listening socket, wherever the caller is.
  auto drained = asio::co_spawn(impl_->strand(), Impl::drain(impl_, patience), asio::use_awaitable);
  co_await std::move(drained);
}

}  // namespace gossamer::http
