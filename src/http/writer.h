#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "http/deadline.h"
#include "http/stream.h"

namespace gossamer::http {

/// Sends to a client, at the speed at which it reads. On the connection's strand.
class Writer {
 public:
  Writer(
      const boost::asio::any_io_executor& executor, Stream& stream, std::chrono::seconds patience
  );

  /// Sends all of it. Throws boost::system::system_error when the client is gone, or has read
  /// nothing for `patience`: then the stream is closed.
  boost::asio::awaitable<void> write(std::string_view bytes);

  /// Whether a write did not come to its end: nothing that makes sense can follow.
  bool is_broken() const { return is_broken_; }
  std::uint64_t num_bytes() const { return num_bytes_; }

 private:
  Stream& stream_;
  const std::chrono::seconds patience_;
  Deadline deadline_;
  bool is_broken_ = false;
  bool is_late_ = false;
  std::uint64_t num_bytes_ = 0;
};

}  // namespace gossamer::http
