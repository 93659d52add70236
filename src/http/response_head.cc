#include "http/response_head.h"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <iterator>

namespace gossamer::http {

namespace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

// strftime would follow the locale.
void append_date(std::string& text) {
  constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths = {
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  fmt::format_to(
      std::back_inserter(text),
      "Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n",
      kDays[static_cast<std::size_t>(utc.tm_wday)],
      utc.tm_mday,
      kMonths[static_cast<std::size_t>(utc.tm_mon)],
      utc.tm_year + 1900,
      utc.tm_hour,
      utc.tm_min,
      utc.tm_sec
  );
}

void append_headers(std::string& text, const Headers& headers) {
  for (const auto& [name, value] : headers) {
    text.append(name).append(": ");
    for (const char c : value) text += c == '\r' || c == '\n' ? ' ' : c;
    text.append("\r\n");
  }
}

void append_framing(std::string& text, const ResponseHead& head) {
  if (head.framing == Framing::kLength) {
    fmt::format_to(std::back_inserter(text), "Content-Length: {}\r\n", head.length);
  }
  if (head.framing == Framing::kChunked) text.append("Transfer-Encoding: chunked\r\n");
  if (!head.keep_alive) text.append("Connection: close\r\n");
  if (head.keep_alive && head.version == 10) text.append("Connection: keep-alive\r\n");
}

}  // namespace

std::string format_head(const ResponseHead& head, const Headers& common, const Headers& headers) {
  std::string text;
  text.reserve(512);
  fmt::format_to(
      std::back_inserter(text), "HTTP/1.1 {} {}\r\n", head.status, reason_phrase(head.status)
  );
  append_date(text);
  if (head.framing != Framing::kNoBody && !head.content_type.empty()) {
    text.append("Content-Type: ").append(head.content_type).append("\r\n");
  }
  append_framing(text, head);
  append_headers(text, common);
  append_headers(text, headers);
  return text.append("\r\n");
}

}  // namespace gossamer::http
