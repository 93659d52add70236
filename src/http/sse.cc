#include "http/sse.h"

#include <algorithm>

namespace gossamer::http {
namespace {

/// As find_first_of("\r\n"), which takes many times as long.
std::size_t end_of_line(std::string_view text) {
  const auto is_end = [](char c) { return c == '\r' || c == '\n'; };
  const auto end = std::find_if(text.begin(), text.end(), is_end);
  return end == text.end() ? std::string_view::npos : static_cast<std::size_t>(end - text.begin());
}

}  // namespace

void append_sse_event(std::string& buffer, std::string_view event, std::string_view data) {
  buffer.reserve(buffer.size() + event.size() + data.size() + 24);
  if (!event.empty()) buffer.append("event: ").append(event).append("\n");
  for (;;) {
    const auto end = end_of_line(data);
    buffer.append("data: ").append(data.substr(0, end)).append("\n");
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  buffer.append("\n");
}

void append_sse_comment(std::string& buffer, std::string_view comment) {
  buffer.append(": ").append(comment).append("\n\n");
}

}  // namespace gossamer::http
