#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

// Included by .cc files only: nlohmann/json is slow to compile.
namespace gossamer::harmony {

/// JSON whose objects keep the order of their keys.
using Json = nlohmann::ordered_json;

/// Parses JSON text. `what` names it in errors. Nesting deeper than 128 is refused, as the
/// reference does, so that recursion over the value is safe.
Result<Json> parse_json(std::string_view text, std::string_view what);

/// JSON text without spaces, as the reference writes it: non-ASCII characters stay, and floats are
/// the shortest digits that read back the same, always with a point or an exponent.
std::string compact_json(const Json& value);

}  // namespace gossamer::harmony
