#include "http/writer.h"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

namespace gossamer::http {

namespace asio = boost::asio;

Writer::Writer(const asio::any_io_executor& executor, Stream& stream, std::chrono::seconds patience)
    : stream_(stream), patience_(patience), deadline_(executor, [this] {
        is_late_ = true;
        stream_.close();
      }) {}

asio::awaitable<void> Writer::write(std::string_view bytes) {
  // A part is missing: whatever followed would be taken for it.
  if (is_broken_) throw boost::system::system_error(asio::error::broken_pipe);
  is_broken_ = true;
  while (!bytes.empty()) {
    // Nearly always there is room at once, and nothing to wait for.
    const asio::const_buffer buffer(bytes.data(), bytes.size());
    Transfer transfer = stream_.write_now(buffer);
    if (transfer.error == asio::error::would_block) {
      deadline_.arm(patience_);
      transfer = co_await stream_.write_some(buffer);
      deadline_.disarm();
    }
    num_bytes_ += transfer.num_bytes;
    bytes.remove_prefix(transfer.num_bytes);
    if (transfer.error) {
      throw boost::system::system_error(
          is_late_ ? make_error_code(asio::error::timed_out) : transfer.error
      );
    }
  }
  is_broken_ = false;
}

}  // namespace gossamer::http
