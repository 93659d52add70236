#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gossamer::http {

/// What a client asked.
struct Request {
  std::string id;      ///< of this server, for logs and the X-Request-Id header: "req_…"
  std::string method;  ///< "GET", …
  std::string path;    ///< decoded, without the query
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  std::string client;  ///< name of its API key, or its address when keys are not asked for
};

using Headers = std::vector<std::pair<std::string, std::string>>;

/// One request and the answer to it, as a handler sees them. Belongs to the connection's strand:
/// every call is made from the handler's coroutine, and one is awaited before the next. HEAD is
/// answered like GET, and the body stays here.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const Request& request() const = 0;
  virtual boost::asio::any_io_executor executor() = 0;

  /// Answers at once.
  virtual boost::asio::awaitable<void> reply(
      int status, std::string_view content_type, std::string body, Headers headers = {}
  ) = 0;

  /// Begins an answer of unknown length, with status 200.
  virtual boost::asio::awaitable<void> begin_stream(
      std::string_view content_type, Headers headers = {}
  ) = 0;

  /// Sends the next part, of which it keeps a copy. Waits while the client reads slowly; throws
  /// boost::system::system_error when it is gone or has not read for too long.
  virtual boost::asio::awaitable<void> send(std::string_view bytes) = 0;

  /// Ends the stream.
  virtual boost::asio::awaitable<void> end_stream() = 0;
};

/// Answers requests. When the client hangs up, or the server must stop, whatever the coroutine
/// awaits is cancelled: it throws boost::system::system_error (operation_aborted), and unwinding
/// releases what the request held. A handler that ends without an answer is answered with 500, one
/// that ends within a stream cuts the connection; what it threw is not told to anyone. A client
/// that closes its sending side after the request has hung up.
///
/// A handler may be called on several threads at once where several run the io_context. To say a
/// last word after a cancellation (where it came from the server), it awaits
/// this_coro::reset_cancellation_state(disable_cancellation()) first.
using Handler = std::function<boost::asio::awaitable<void>(Exchange&)>;

}  // namespace gossamer::http
