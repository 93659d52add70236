#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace gossamer::harmony {

/// A JSON schema as the TypeScript type in which the models were shown their tools. What the
/// notation cannot say (anyOf, $ref, …) is `any`, as in the reference (docs/harmony.md). Error when
/// `schema` is not JSON.
Result<std::string> typescript_of(std::string_view schema);

}  // namespace gossamer::harmony
