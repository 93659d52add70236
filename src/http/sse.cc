#include "http/sse.h"

namespace gossamer::http {

void append_sse_event(std::string& buffer, std::string_view event, std::string_view data) {
  buffer.reserve(buffer.size() + event.size() + data.size() + 24);
  if (!event.empty()) buffer.append("event: ").append(event).append("\n");
  for (;;) {
    const auto end = data.find_first_of("\r\n");
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
