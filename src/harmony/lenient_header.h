#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harmony/diagnostic.h"
#include "harmony/encoding.h"
#include "harmony/message.h"

namespace gossamer::harmony {

/// A stretch of header text and the marker before it. Headers are read on tokens, not on text: text
/// that merely looks like a marker is text.
struct HeaderSection {
  std::optional<Marker> marker;  ///< kChannel or kConstrain; none for the role at the beginning
  std::string text;              ///< bytes as sampled
};

/// What a header is read against.
struct HeaderContext {
  std::optional<Role> role;               ///< given when the prompt already began the message
  std::span<const std::string> channels;  ///< the valid ones
};

/// A repair, and the text it concerns.
struct HeaderRepair {
  Repair repair;
  std::string detail;
};

/// A header, read with whatever repairs it took.
struct HeaderReading {
  Message message;                    ///< without content
  std::string text_before;            ///< prose in the place of the role
  std::string text_after;             ///< content, when the header was not closed
  std::vector<HeaderRepair> repairs;  ///< in reading order
};

/// Reads a header that `<|message|>` closed. Total: every word is a field, text_before, or in the
/// detail of a repair.
HeaderReading read_closed_header(
    std::span<const HeaderSection> sections, const HeaderContext& context
);

/// Reads what was to be a header but was never closed: the fields it begins with, and then text.
/// Total: every word is a field or in text_after.
HeaderReading read_open_header(
    std::span<const HeaderSection> sections, const HeaderContext& context
);

}  // namespace gossamer::harmony
