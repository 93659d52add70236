#pragma once

#include <span>

#include "base/result.h"
#include "base/token_id.h"
#include "model/config.h"

namespace gossamer::engine {

/// Whether a model can read these tokens. kInvalidArgument: there are none, or one is not in the
/// vocabulary.
Status validate_prompt(const model::Config& config, std::span<const TokenId> tokens);

}  // namespace gossamer::engine
