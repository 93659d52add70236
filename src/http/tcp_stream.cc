#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "http/stream.h"

namespace gossamer::http {

namespace asio = boost::asio;

namespace {

class TcpStream final : public Stream {
 public:
  explicit TcpStream(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {
    boost::system::error_code ignored;  // a socket that is gone says so when it is used
    socket_.non_blocking(true, ignored);
  }

  asio::awaitable<Handshake> handshake() override { co_return Handshake::kDone; }

  asio::awaitable<Transfer> read_some(asio::mutable_buffer buffer) override {
    Transfer transfer;
    auto token = asio::redirect_error(asio::use_awaitable, transfer.error);
    transfer.num_bytes = co_await socket_.async_read_some(buffer, token);
    co_return transfer;
  }

  asio::awaitable<Transfer> write_some(asio::const_buffer buffer) override {
    Transfer transfer;
    auto token = asio::redirect_error(asio::use_awaitable, transfer.error);
    transfer.num_bytes = co_await socket_.async_write_some(buffer, token);
    co_return transfer;
  }

  Transfer write_now(asio::const_buffer buffer) override {
    Transfer transfer;
    transfer.num_bytes = socket_.write_some(buffer, transfer.error);
    return transfer;
  }

  asio::awaitable<void> shut_down() override {
    boost::system::error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    co_return;
  }

  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  bool is_encrypted() const override { return false; }

  std::unique_ptr<Stream> take_plain() override { return make_tcp_stream(std::move(socket_)); }

 private:
  asio::ip::tcp::socket socket_;
};

}  // namespace

std::unique_ptr<Stream> make_tcp_stream(asio::ip::tcp::socket socket) {
  return std::make_unique<TcpStream>(std::move(socket));
}

}  // namespace gossamer::http
