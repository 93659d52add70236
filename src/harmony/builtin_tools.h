#pragma once

#include <string_view>

#include "harmony/message.h"

namespace gossamer::harmony {

/// The browser that the models were trained with: search, open and find. `sources` is what its
/// description says it reads, e.g. "web".
ToolNamespace browser_tool(std::string_view sources = "web (default: web)");

/// The stateful Python that the models were trained with. It takes code, not arguments, and so has
/// no functions.
ToolNamespace python_tool();

}  // namespace gossamer::harmony
