#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <exception>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace gossamer::load {

/// "http://host:port/prefix". Without a port it is 80; an IPv6 address is in brackets.
struct Url {
  std::string host;  ///< without the brackets
  std::string port = "80";
  std::string prefix;     ///< of every path: empty, or "/…" without a slash at its end
  std::string authority;  ///< host and port as they were written, for the Host header
};

Result<Url> parse_url(const std::string& text);

struct Server {
  Url url;
  boost::asio::ip::tcp::endpoint endpoint;
  std::string key;  ///< that it asks for; empty for none
};

/// The first of a host's addresses that accepts a connection. Waits for it.
Result<boost::asio::ip::tcp::endpoint> find_endpoint(const Url& url);

using HttpRequest = boost::beast::http::request<boost::beast::http::string_body>;

HttpRequest make_get(const Server& server, std::string_view path);
HttpRequest make_post(const Server& server, std::string_view path, std::string json);

/// One of a user's, kept open from request to request.
class Connection {
 public:
  Connection(const boost::asio::any_io_executor& executor, const Server& server);

  using DataHandler = std::function<void(std::string_view)>;

  /// The status of the answer, once it is over. `on_data` gets its body as it arrives. Throws
  /// boost::system::system_error, also when close() was called meanwhile.
  boost::asio::awaitable<int> exchange(const HttpRequest& request, const DataHandler& on_data);

  /// Hangs up; the next request connects anew.
  void close();

 private:
  boost::asio::awaitable<void> connect();
  boost::asio::awaitable<int> receive(const DataHandler& on_data);

  boost::asio::ip::tcp::endpoint endpoint_;
  boost::asio::ip::tcp::socket socket_;
  boost::beast::flat_buffer buffer_;  // what was received and not yet parsed
};

/// What went wrong, in words: what() of Boost's errors tells lines of its headers as well.
std::string message_of(const std::exception& error);

}  // namespace gossamer::load
