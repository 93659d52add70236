#pragma once

#include <string>
#include <string_view>

namespace gossamer::http {

/// The content type of a stream of server-sent events.
inline constexpr std::string_view kEventStream = "text/event-stream; charset=utf-8";

/// Appends one event. `event` is its name, without line ends, and is left out where empty. Data
/// with line ends becomes several data lines, which the client joins again with "\n".
void append_sse_event(std::string& buffer, std::string_view event, std::string_view data);

/// Appends a comment, which clients ignore: it keeps the connection busy. No line ends.
void append_sse_comment(std::string& buffer, std::string_view comment);

}  // namespace gossamer::http
