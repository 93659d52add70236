#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace gossamer::http {

/// What a request line asks for.
struct Target {
  std::string path;                          ///< percent-decoded; "*" for the whole server
  std::map<std::string, std::string> query;  ///< decoded; the last of several values counts
};

/// Parses "/path?name=value", "http://host/path" and "*". Nothing where it is none of these, or an
/// escape is malformed or stands for a control character.
std::optional<Target> parse_target(std::string_view text);

}  // namespace gossamer::http
