#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/result.h"

namespace gossamer::checkpoint {

/// Parses JSON that nobody vouches for. Refuses what a lenient parser lets through or falls over:
/// nesting deeper than any checkpoint has, an object that states a key twice, and a top level that
/// is not an object. Errors (kCorruptData) start with `where`, a file's name.
Result<nlohmann::json> parse_json_object(std::string_view text, std::string_view where);

/// `text` fit for an error message: cut to a readable length, unprintable bytes replaced.
std::string printable(std::string_view text);

}  // namespace gossamer::checkpoint
