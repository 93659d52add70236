#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

namespace gossamer::http {

/// An answer as a client reads it; names of headers in lower case.
struct Answer {
  int status = 0;
  std::map<std::string, std::string> headers;
  std::string body;
  bool is_complete = false;  ///< the body came to its end
};

/// A plain socket, so that a test decides about every byte. Waits 20 seconds for anything.
class Client {
 public:
  explicit Client(std::uint16_t port, int receive_buffer_bytes = 0);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// False when TLS cannot be agreed on. `options` as for SSL_CTX_set_max_proto_version; 0: any.
  bool begin_tls(int max_version = 0);

  /// False when the server does not take it all.
  bool send(std::string_view bytes);
  /// Sends the request line, Host, the headers given ("Name: value\r\n"…) and the body.
  bool request(
      const std::string& method,
      const std::string& target,
      const std::string& headers = "",
      const std::string& body = ""
  );

  /// Up to the end of the next answer; status 0 when there is none.
  Answer answer();
  Answer answer_to_head();
  /// At least `size` bytes of what comes, without parsing it.
  std::string read_at_least(std::size_t size);
  /// Everything until the server closes; nothing when it does not.
  std::optional<std::string> read_to_end();

  void stop_sending();
  /// Closes with a reset in place of a goodbye.
  void reset();
  void close();

 private:
  bool receive();
  std::optional<std::string> line();
  bool take(std::size_t size, std::string& to);
  Answer head();

  int socket_ = -1;
  SSL_CTX* context_ = nullptr;
  SSL* tls_ = nullptr;
  std::string buffer_;
};

}  // namespace gossamer::http
