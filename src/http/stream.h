#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>

namespace gossamer::http {

/// What became of a read or a write.
struct Transfer {
  boost::system::error_code error;
  std::size_t num_bytes = 0;
};

enum class Handshake { kDone, kFailed, kPlainText };

/// The bytes of a connection, encrypted or not. On the connection's strand; at most one read and
/// one write at a time. Operations under way end with an error when the stream is closed, and must
/// have ended when it is destroyed.
class Stream {
 public:
  virtual ~Stream() = default;

  /// Before anything else. kPlainText: the client does not know that it should encrypt.
  virtual boost::asio::awaitable<Handshake> handshake() = 0;
  virtual boost::asio::awaitable<Transfer> read_some(boost::asio::mutable_buffer buffer) = 0;
  virtual boost::asio::awaitable<Transfer> write_some(boost::asio::const_buffer buffer) = 0;

  /// Writes what there is room for at once: would_block where there is none, or none can be known.
  virtual Transfer write_now(boost::asio::const_buffer buffer) = 0;

  /// Tells the client that nothing follows. Where the stream is encrypted, no read may be under
  /// way, and it waits for the client's answer.
  virtual boost::asio::awaitable<void> shut_down() = 0;
  virtual void close() = 0;

  virtual bool is_encrypted() const = 0;
  /// The same connection without encryption, after kPlainText.
  virtual std::unique_ptr<Stream> take_plain() = 0;
};

std::unique_ptr<Stream> make_tcp_stream(boost::asio::ip::tcp::socket socket);

}  // namespace gossamer::http
