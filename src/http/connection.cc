#include "http/connection.h"

#include <fmt/format.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

#include "base/stopwatch.h"
#include "http/live_exchange.h"

namespace gossamer::http {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kHungUp = 499;
// How long a client may take to say goodbye, or to stop sending what is not wanted any more. To
// close earlier would make its system throw away the answer.
constexpr std::chrono::seconds kGoodbye{5};
// Room for a head of the allowed size, and some of what follows it.
constexpr std::size_t kExtraInput = 16 << 10;

}  // namespace

/// A request, from its first byte to its answer.
struct Connection::Turn {
  Turn(const ServerOptions& options, std::string client, std::uint64_t num_bytes)
      : reader(options.max_header_bytes, options.max_body_bytes), num_bytes_before(num_bytes) {
    request.id = make_request_id();
    request.client = std::move(client);
    headers = {{"X-Request-Id", request.id}};
  }

  Request request;
  RequestReader reader;
  Headers headers;  // of every answer
  bool is_preflight = false;
  std::uint64_t num_bytes_before;  // that the connection had sent
  Stopwatch stopwatch;
};

Connection::Connection(
    std::shared_ptr<Service> service,
    asio::any_io_executor strand,
    std::unique_ptr<Stream> stream,
    std::string client_address,
    Mode mode
)
    : service_(std::move(service)),
      strand_(std::move(strand)),
      client_address_(std::move(client_address)),
      mode_(mode),
      stream_(std::move(stream)),
      closing_(strand_, [this] { stream_->close(); }) {}

Connection::~Connection() {
  stream_->close();
  service_->connections.remove(this);
}

void Connection::start() {
  service_->connections.add(this, weak_from_this());
  // The signal is a member: it must not go before the last of the coroutine, hence the post.
  auto done = [self = shared_from_this()](const std::exception_ptr&) {
    asio::post(self->strand_, [self] {});
  };
  asio::co_spawn(
      strand_,
      run(shared_from_this()),
      asio::bind_cancellation_slot(cancel_.slot(), std::move(done))
  );
}

void Connection::stop_when_idle(std::shared_ptr<Connection> connection) {
  const asio::any_io_executor strand = connection->strand_;
  asio::post(strand, [self = std::move(connection)] {
    if (self->is_idle_) self->stream_->close();
  });
}

void Connection::stop_now(std::shared_ptr<Connection> connection) {
  const asio::any_io_executor strand = connection->strand_;
  asio::post(strand, [self = std::move(connection)] {
    self->is_stopped_ = true;
    if (self->is_handling_) {
      self->cancel_.emit(asio::cancellation_type::all);
    } else {
      self->stream_->close();
    }
  });
}

void Connection::hang_up() {
  if (is_handling_) cancel_.emit(asio::cancellation_type::all);
}

asio::awaitable<void> Connection::run(std::shared_ptr<Connection> self) {
  try {
    co_await self->serve();
  } catch (const std::exception&) {
    // The client is gone in the middle of something that is no handler's.
  }
  self->stream_->close();
}

asio::awaitable<void> Connection::read_ahead(std::shared_ptr<Connection> self) {
  co_await self->input_->run();
}

asio::awaitable<void> Connection::serve() {
  const bool is_encrypted_as_it_should = co_await shake_hands();
  if (!is_encrypted_as_it_should) co_return;
  begin_reading();
  if (mode_ == Mode::kTurnAway) {
    co_await turn_away();
  } else {
    bool goes_on = true;
    while (goes_on) goes_on = co_await serve_request();
  }
  co_await finish();
}

asio::awaitable<bool> Connection::shake_hands() {
  closing_.arm(service_->options.header_timeout);
  const Handshake handshake = co_await stream_->handshake();
  closing_.disarm();
  if (handshake == Handshake::kDone) co_return true;
  if (handshake == Handshake::kFailed) co_return false;
  stream_ = stream_->take_plain();
  begin_reading();
  Turn turn(service_->options, client_address_, 0);
  const Refusal refusal{.message = "this port speaks HTTPS: use https:// in the URL"};
  co_await refuse(turn, refusal);
  co_await finish();
  co_return false;
}

void Connection::begin_reading() {
  writer_.emplace(strand_, *stream_, service_->options.send_timeout);
  input_.emplace(strand_, *stream_, service_->options.max_header_bytes + kExtraInput, [this] {
    hang_up();
  });
  auto done = [self = shared_from_this()](const std::exception_ptr&) {
    asio::post(self->strand_, [self] {});
  };
  asio::co_spawn(
      strand_,
      read_ahead(shared_from_this()),
      asio::bind_cancellation_slot(input_->slot(), std::move(done))
  );
}

asio::awaitable<bool> Connection::serve_request() {
  const bool has_come = co_await wait_for_request();
  if (!has_come) co_return false;
  Turn turn(service_->options, client_address_, writer_->num_bytes());
  auto refusal = co_await read_head(turn);
  if (!refusal) refusal = admit(turn);
  if (!refusal) refusal = co_await read_body(turn);
  if (refusal) {
    co_await refuse(turn, *refusal);
    co_return false;
  }
  co_return co_await answer(turn);
}

asio::awaitable<bool> Connection::wait_for_request() {
  const auto deadline = Clock::now() + service_->options.idle_timeout;
  for (;;) {
    // Some clients end a body with a line end that does not belong to it.
    while (input_->bytes().starts_with('\r') || input_->bytes().starts_with('\n')) {
      input_->consume(1);
    }
    if (service_->is_draining) co_return false;
    if (!input_->bytes().empty()) co_return true;
    is_idle_ = true;
    const auto event = co_await input_->wait_for_more(deadline);
    is_idle_ = false;
    if (event != Input::Event::kBytes) co_return false;
  }
}

asio::awaitable<std::optional<Refusal>> Connection::read_head(Turn& turn) {
  auto refusal = co_await read_part(turn, Part::kHead, service_->options.header_timeout);
  turn.reader.move_head_to(turn.request);
  for (auto& header : service_->origins.headers(turn.request)) {
    turn.headers.push_back(std::move(header));
  }
  co_return refusal;
}

asio::awaitable<std::optional<Refusal>> Connection::read_body(Turn& turn) {
  if (turn.reader.expects_continue() && !turn.reader.is_done() && input_->bytes().empty()) {
    co_await writer_->write("HTTP/1.1 100 Continue\r\n\r\n");
  }
  auto refusal = co_await read_part(turn, Part::kBody, service_->options.body_timeout);
  if (!refusal) turn.request.body = turn.reader.take_body();
  co_return refusal;
}

namespace {

// g++ 12 destroys braced temporaries of coroutines twice: these are made outside.

Refusal endless_line() {
  return {.message = "not an HTTP request: a line without end"};
}

Refusal hung_up() {
  return {.status = kHungUp};
}

Refusal too_slow(std::chrono::seconds patience) {
  return {.status = 408, .message = fmt::format("no complete request in {} s", patience.count())};
}

}  // namespace

asio::awaitable<std::optional<Refusal>> Connection::read_part(
    Turn& turn, Part part, std::chrono::seconds patience
) {
  const auto deadline = Clock::now() + patience;
  for (;;) {
    const bool is_done = part == Part::kHead ? turn.reader.has_head() : turn.reader.is_done();
    if (turn.reader.refusal()) co_return turn.reader.refusal();
    if (is_done) co_return std::nullopt;
    const std::size_t taken = turn.reader.parse(input_->bytes());
    input_->consume(taken);
    if (taken > 0 || turn.reader.refusal()) continue;
    if (input_->is_full()) co_return endless_line();
    const auto event = co_await input_->wait_for_more(deadline);
    if (event == Input::Event::kEnd) co_return hung_up();
    if (event == Input::Event::kTimeout) {
      co_return too_slow(patience);
    }
  }
}

// What can be said before the body has come.
std::optional<Refusal> Connection::admit(Turn& turn) {
  Request& request = turn.request;
  if (auto objection = service_->origins.objection(request)) {
    return Refusal{.status = 403, .message = std::move(*objection)};
  }
  // Browsers send no key with it.
  turn.is_preflight = OriginPolicy::is_preflight(request);
  if (turn.is_preflight || !service_->keys.required()) return std::nullopt;
  if (auto name = service_->keys.name_of(request)) {
    request.client = std::move(*name);
    return std::nullopt;
  }
  for (const std::string& path : service_->options.open_paths) {
    if (path == request.path) return std::nullopt;
  }
  return Refusal{
      .status = 401,
      .message = "no API key that this server knows; send `Authorization: Bearer KEY`",
      .headers = {{"WWW-Authenticate", "Bearer realm=\"gossamer\""}},
  };
}

asio::awaitable<bool> Connection::answer(Turn& turn) {
  LiveExchange exchange({
      .request = turn.request,
      .writer = *writer_,
      .executor = strand_,
      .headers = turn.headers,
      .version = turn.reader.version(),
      .keep_alive = turn.reader.keep_alive() && !service_->is_draining,
  });
  if (!input_->has_ended()) co_await handle(turn, exchange);
  if (!exchange.is_complete()) co_return co_await settle(turn, exchange);
  record(turn, exchange.status());
  co_return exchange.keep_alive();
}

asio::awaitable<void> Connection::handle(Turn& turn, LiveExchange& exchange) {
  is_handling_ = true;
  try {
    if (turn.is_preflight) {
      Headers headers = OriginPolicy::preflight_headers(turn.request);
      std::string nothing;
      co_await exchange.reply(204, "", std::move(nothing), std::move(headers));
    } else {
      co_await service_->handler(exchange);
    }
  } catch (...) {
    // Whatever it was, the answer is not complete: settle() sees to that.
  }
  is_handling_ = false;
  // Cancelled or not, the connection goes on.
  co_await asio::this_coro::reset_cancellation_state();
}

asio::awaitable<bool> Connection::settle(Turn& turn, const LiveExchange& exchange) {
  const int status = is_stopped_ ? 503 : 500;
  if (input_->has_ended() || writer_->is_broken()) {
    must_abort_ = true;
    record(turn, kHungUp);
  } else if (exchange.has_begun()) {
    // Only the missing end can tell the client that this is not everything.
    must_abort_ = true;
    record(turn, status);
  } else {
    const Refusal refusal{
        .status = status,
        .message = is_stopped_ ? "the server is stopping" : "the server failed at this request"};
    co_await refuse(turn, refusal);
  }
  co_return false;
}

asio::awaitable<void> Connection::refuse(Turn& turn, const Refusal& refusal) {
  was_refused_ = true;
  int status = refusal.status;
  if (status != kHungUp) {
    LiveExchange exchange({
        .request = turn.request,
        .writer = *writer_,
        .executor = strand_,
        .headers = turn.headers,
        .version = turn.reader.version(),
        .keep_alive = false,
    });
    std::string body = service_->on_error(status, refusal.message);
    Headers headers = refusal.headers;
    try {
      co_await exchange.reply(status, "application/json", std::move(body), std::move(headers));
    } catch (const boost::system::system_error&) {
      status = kHungUp;
    }
  }
  must_abort_ = status == kHungUp;
  record(turn, status);
}

asio::awaitable<void> Connection::turn_away() {
  Turn turn(service_->options, client_address_, 0);
  const Refusal refusal{
      .status = 503,
      .message = fmt::format(
          "the server has its {} connections; try again later", service_->options.max_connections
      ),
      .headers = {{"Retry-After", "1"}},
  };
  co_await refuse(turn, refusal);
}

void Connection::record(const Turn& turn, int status) const {
  if (!service_->on_access) return;
  service_->on_access({
      .request = &turn.request,
      .status = status,
      .bytes_sent = writer_->num_bytes() - turn.num_bytes_before,
      .seconds = turn.stopwatch.seconds(),
  });
}

asio::awaitable<void> Connection::finish() {
  if (must_abort_ || input_->has_ended()) co_return;
  const bool more_may_come = was_refused_ || !input_->bytes().empty();
  closing_.arm(kGoodbye);
  if (stream_->is_encrypted()) {
    if (!more_may_come) input_->stop();
    co_await input_->drop_the_rest();
    if (!more_may_come) co_await stream_->shut_down();
  } else {
    co_await stream_->shut_down();
    if (more_may_come) co_await input_->drop_the_rest();
  }
  closing_.disarm();
}

}  // namespace gossamer::http
