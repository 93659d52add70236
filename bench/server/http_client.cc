#include "bench/server/http_client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/system/system_error.hpp>
#include <regex>
#include <utility>

namespace gossamer::load {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::size_t kReadBytes = 16 << 10;

HttpRequest make_request(http::verb verb, const Server& server, std::string_view path) {
  HttpRequest request(verb, server.url.prefix + std::string(path), 11);
  request.set(http::field::host, server.url.authority);
  if (!server.key.empty()) request.set(http::field::authorization, "Bearer " + server.key);
  return request;
}

}  // namespace

Result<Url> parse_url(const std::string& text) {
  static const std::regex form(
      R"(http://((?:\[([0-9a-fA-F:.]+)\]|([^:/\[\]]+))(?::(\d+))?)(/.*[^/])?/*)"
  );
  std::smatch parts;
  if (!std::regex_match(text, parts, form)) {
    return make_error(
        ErrorCode::kInvalidArgument, "'{}' is not a URL such as http://127.0.0.1:8000", text
    );
  }
  Url url{.host = parts[2].str() + parts[3].str(), .prefix = parts[5], .authority = parts[1]};
  if (parts[4].matched) url.port = parts[4];
  return url;
}

Result<tcp::endpoint> find_endpoint(const Url& url) {
  asio::io_context context;
  error_code error;
  const auto found = tcp::resolver(context).resolve(url.host, url.port, error);
  for (const auto& entry : found) {
    tcp::socket socket(context);
    socket.connect(entry.endpoint(), error);
    if (!error) return entry.endpoint();
  }
  return make_error(ErrorCode::kIo, "http://{}: {}", url.authority, error.message());
}

HttpRequest make_get(const Server& server, std::string_view path) {
  return make_request(http::verb::get, server, path);
}

HttpRequest make_post(const Server& server, std::string_view path, std::string json) {
  HttpRequest request = make_request(http::verb::post, server, path);
  request.set(http::field::content_type, "application/json");
  request.body() = std::move(json);
  request.prepare_payload();
  return request;
}

Connection::Connection(const asio::any_io_executor& executor, const Server& server)
    : endpoint_(server.endpoint), socket_(executor) {}

asio::awaitable<void> Connection::connect() {
  buffer_.clear();
  co_await socket_.async_connect(endpoint_, asio::use_awaitable);
  socket_.set_option(tcp::no_delay(true));
}

asio::awaitable<int> Connection::exchange(const HttpRequest& request, const DataHandler& on_data) {
  try {
    if (!socket_.is_open()) co_await connect();
    co_await http::async_write(socket_, request, asio::use_awaitable);
    co_return co_await receive(on_data);
  } catch (...) {
    close();
    throw;
  }
}

asio::awaitable<int> Connection::receive(const DataHandler& on_data) {
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  // http::async_read_some would either parse one piece of a chunk a call, or keep back what is
  // parsed until the next chunk has begun.
  parser.eager(true);
  std::string& body = parser.get().body();
  while (!parser.is_done()) {
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    buffer_.commit(co_await socket_.async_read_some(buffer_.prepare(kReadBytes), token));
    if (error == asio::error::eof && parser.got_some()) {
      parser.put_eof(error);
    } else if (!error) {
      buffer_.consume(parser.put(buffer_.data(), error));
    }
    if (error && error != http::error::need_more) throw boost::system::system_error(error);
    if (!body.empty()) on_data(body);
    body.clear();
  }
  if (!parser.keep_alive()) close();
  co_return parser.get().result_int();
}

void Connection::close() {
  error_code ignored;
  socket_.close(ignored);
}

std::string message_of(const std::exception& error) {
  const auto* system_error = dynamic_cast<const boost::system::system_error*>(&error);
  return system_error != nullptr ? system_error->code().message() : error.what();
}

}  // namespace gossamer::load
