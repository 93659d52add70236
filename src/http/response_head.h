#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/exchange.h"

namespace gossamer::http {

/// How the client learns where the body ends.
enum class Framing { kLength, kChunked, kUntilClose, kNoBody };

/// The status line and headers of an answer.
struct ResponseHead {
  int version = 11;  ///< of the client: 10 or 11
  int status = 200;
  std::string_view content_type;
  Framing framing = Framing::kLength;
  std::uint64_t length = 0;  ///< of the body, for kLength
  bool keep_alive = true;
};

/// The head as bytes, with Date, the given headers, and the empty line. Line ends within a header's
/// value become spaces.
std::string format_head(const ResponseHead& head, const Headers& common, const Headers& headers);

}  // namespace gossamer::http
