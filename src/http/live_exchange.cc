#include "http/live_exchange.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "base/check.h"

namespace gossamer::http {

namespace asio = boost::asio;

namespace {

// Bodies up to here travel with their head, in one packet or a few.
constexpr std::size_t kCopiedBytes = 64 << 10;

}  // namespace

asio::awaitable<void> LiveExchange::reply(
    int status, std::string_view content_type, std::string body, Headers headers
) {
  GOSSAMER_CHECK(state_ == State::kNothing);
  const bool has_no_body = status == 204 || status == 304;
  const ResponseHead head{
      .version = setting_.version,
      .status = status,
      .content_type = content_type,
      .framing = has_no_body ? Framing::kNoBody : Framing::kLength,
      .length = body.size(),
      .keep_alive = setting_.keep_alive,
  };
  std::string bytes = format_head(head, setting_.headers, headers);
  if (has_no_body || is_head_only()) body.clear();
  state_ = State::kReplying;
  status_ = status;
  if (body.size() <= kCopiedBytes) bytes.append(std::exchange(body, {}));
  co_await setting_.writer.write(bytes);
  if (!body.empty()) co_await setting_.writer.write(body);
  state_ = State::kComplete;
}

asio::awaitable<void> LiveExchange::begin_stream(std::string_view content_type, Headers headers) {
  GOSSAMER_CHECK(state_ == State::kNothing);
  framing_ = setting_.version == 11 ? Framing::kChunked : Framing::kUntilClose;
  if (framing_ == Framing::kUntilClose) setting_.keep_alive = false;
  const ResponseHead head{
      .version = setting_.version,
      .content_type = content_type,
      .framing = framing_,
      .keep_alive = setting_.keep_alive,
  };
  const std::string bytes = format_head(head, setting_.headers, headers);
  state_ = State::kStreaming;
  status_ = head.status;
  co_await setting_.writer.write(bytes);
}

asio::awaitable<void> LiveExchange::send(std::string_view bytes) {
  GOSSAMER_CHECK(state_ == State::kStreaming);
  part_.clear();
  if (!is_head_only()) append_part(bytes);
  return setting_.writer.write(part_);
}

void LiveExchange::append_part(std::string_view bytes) {
  // An empty chunk would be the end.
  if (bytes.empty()) return;
  const bool is_chunked = framing_ == Framing::kChunked;
  if (is_chunked) fmt::format_to(std::back_inserter(part_), "{:x}\r\n", bytes.size());
  part_.append(bytes);
  if (is_chunked) part_.append("\r\n");
}

asio::awaitable<void> LiveExchange::end_stream() {
  GOSSAMER_CHECK(state_ == State::kStreaming);
  if (framing_ == Framing::kChunked && !is_head_only()) {
    co_await setting_.writer.write("0\r\n\r\n");
  }
  state_ = State::kComplete;
}

}  // namespace gossamer::http
