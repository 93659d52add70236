#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <memory>
#include <optional>
#include <string>

#include "http/deadline.h"
#include "http/input.h"
#include "http/request_reader.h"
#include "http/service.h"
#include "http/stream.h"
#include "http/writer.h"

namespace gossamer::http {

class LiveExchange;

/// One client: its requests, one after another. Two coroutines on a strand: one serves, the other
/// reads ahead (Input). When the reading ends while a handler works, the client has hung up, and
/// what the handler awaits is cancelled.
///
/// A client that closes its sending side only, after the request, counts as one that hung up: from
/// here both look the same, and an answer to nobody would cost seconds of the model's time.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  enum class Mode { kServe, kTurnAway };

  /// `client_address` is the client's name where no key gives one. kTurnAway answers 503 at once.
  Connection(
      std::shared_ptr<Service> service,
      boost::asio::any_io_executor strand,
      std::unique_ptr<Stream> stream,
      std::string client_address,
      Mode mode
  );
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Once. The connection lives until it has ended by itself.
  void start();
  // Any thread. The connection is handed over, so that it does not end there.
  /// Ends it if it waits for a request; else after the answer under way.
  static void stop_when_idle(std::shared_ptr<Connection> connection);
  /// Cancels the handler, or closes.
  static void stop_now(std::shared_ptr<Connection> connection);

 private:
  struct Turn;

  static boost::asio::awaitable<void> run(std::shared_ptr<Connection> self);
  static boost::asio::awaitable<void> read_ahead(std::shared_ptr<Connection> self);

  boost::asio::awaitable<void> serve();
  boost::asio::awaitable<bool> shake_hands();
  void begin_reading();
  boost::asio::awaitable<bool> serve_request();
  boost::asio::awaitable<bool> wait_for_request();
  boost::asio::awaitable<std::optional<Refusal>> read_head(Turn& turn);
  boost::asio::awaitable<std::optional<Refusal>> read_body(Turn& turn);
  enum class Part { kHead, kBody };
  boost::asio::awaitable<std::optional<Refusal>> read_part(
      Turn& turn, Part part, std::chrono::seconds patience
  );
  std::optional<Refusal> admit(Turn& turn);
  boost::asio::awaitable<bool> answer(Turn& turn);
  boost::asio::awaitable<void> handle(Turn& turn, LiveExchange& exchange);
  boost::asio::awaitable<bool> settle(Turn& turn, const LiveExchange& exchange);
  boost::asio::awaitable<void> refuse(Turn& turn, const Refusal& refusal);
  boost::asio::awaitable<void> turn_away();
  boost::asio::awaitable<void> finish();
  void hang_up();
  void record(const Turn& turn, int status) const;

  const std::shared_ptr<Service> service_;
  const boost::asio::any_io_executor strand_;
  const std::string client_address_;
  const Mode mode_;
  boost::asio::cancellation_signal cancel_;
  std::unique_ptr<Stream> stream_;
  std::optional<Input> input_;
  std::optional<Writer> writer_;
  Deadline closing_;  // closes the stream

  bool is_idle_ = false;
  bool is_handling_ = false;
  bool is_stopped_ = false;   // by stop_now()
  bool must_abort_ = false;   // there is nobody, or nothing sensible, to say goodbye to
  bool was_refused_ = false;  // so that parts of a request may still come
};

}  // namespace gossamer::http
