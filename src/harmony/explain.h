#pragma once

#include <optional>
#include <span>
#include <string>

#include "harmony/encoding.h"
#include "harmony/message.h"

namespace gossamer::harmony {

struct ExplainOptions {
  std::optional<Role> role;  ///< as ParserOptions::role
  bool colour = false;       ///< escape sequences for a terminal
  bool tokens = false;       ///< list the ids of every message, too
};

/// A stream for people: who says what to whom on which channel, what was repaired and where, and
/// how many tokens everything takes. Control characters in the stream are shown as \xNN.
std::string explain(
    const Encoding& encoding, std::span<const TokenId> tokens, const ExplainOptions& options
);

}  // namespace gossamer::harmony
