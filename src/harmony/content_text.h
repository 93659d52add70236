#pragma once

#include <string>

#include "base/result.h"
#include "harmony/message.h"

namespace gossamer::harmony {

/// Whether a conversation declares functions, which its system message must mention.
enum class FunctionTools { kNone, kDeclared };

/// What a system message says, as the model reads it. Error when a tool's schema is not JSON.
Result<std::string> system_text(const SystemContent& content, FunctionTools functions);

/// What a developer message says, as the model reads it. Error when a tool's schema is not JSON.
Result<std::string> developer_text(const DeveloperContent& content);

}  // namespace gossamer::harmony
