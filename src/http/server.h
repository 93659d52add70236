#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/exchange.h"

namespace gossamer::http {

/// Certificate chain and private key, PEM.
struct TlsFiles {
  std::filesystem::path certificate;
  std::filesystem::path key;
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;  ///< 0: any free one, see Server::port
  std::optional<TlsFiles> tls;

  /// Name by key. Empty: no key is asked for. `open_paths` are answered without one.
  std::map<std::string, std::string> api_keys;
  std::vector<std::string> open_paths;

  /// Origins that browsers may call from, e.g. "http://localhost:3000"; "*" for any.
  std::vector<std::string> cors_origins;

  std::size_t max_body_bytes = std::size_t{64} << 20;
  std::size_t max_header_bytes = std::size_t{64} << 10;
  int max_connections = 4096;
  std::chrono::seconds header_timeout{30};  ///< from the first byte to the end of the headers
  std::chrono::seconds body_timeout{120};
  std::chrono::seconds idle_timeout{75};  ///< between requests
  std::chrono::seconds send_timeout{60};  ///< a client that reads nothing for so long is dropped
};

/// What was answered, for a log line and for metrics.
struct AccessRecord {
  const Request* request;
  int status;  ///< 499 when the client hung up before the answer was complete
  std::uint64_t bytes_sent;
  double seconds;
};

/// An HTTP/1.1 server on an io_context that one or several threads run. A connection is a
/// coroutine, not a thread. Without keys on loopback, web pages of strangers are refused: see
/// OriginPolicy.
class Server {
 public:
  /// Listens. Errors name the address, or the TLS file, and what to do. `on_error` answers what
  /// never reaches the handler or is not answered by it (400, 401, 403, 408, 413, 431, 500, 501,
  /// 503, 505), given the status and a sentence, and returns the JSON body. `on_access` may be
  /// empty. All three are called on the context's threads.
  ///
  /// Resolves `host` and reads the TLS files before it returns. The context outlives the server,
  /// and what the handler uses outlives the connections: see drain().
  static Result<std::unique_ptr<Server>> create(
      boost::asio::io_context& context,
      const ServerOptions& options,
      Handler handler,
      std::function<std::string(int status, const std::string& message)> on_error,
      std::function<void(const AccessRecord&)> on_access
  );
  /// Closes and cancels everything, without waiting for it.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;
  int num_connections() const;

  /// Accepts nothing more, closes idle connections, lets requests under way end for up to
  /// `patience`, then cancels them. Completes when no connection is left. May be called again, with
  /// less patience.
  boost::asio::awaitable<void> drain(std::chrono::seconds patience);

 private:
  class Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace gossamer::http
