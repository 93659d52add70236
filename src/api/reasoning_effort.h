#pragma once

#include <string>
#include <vector>

#include "api/json_reader.h"
#include "harmony/message.h"

namespace gossamer::api {

/// Reads how much the model should think, wherever a client writes it: reasoning.effort, else
/// reasoning_effort, else chat_template_kwargs.reasoning_effort; medium when nowhere. "none" and
/// "minimal" are low, "xhigh" and "max" are high, with a warning. Other words are an error in
/// reasoning.effort, and a warning elsewhere.
harmony::ReasoningEffort read_reasoning_effort(
    const ObjectReader& request, std::vector<std::string>& warnings
);

}  // namespace gossamer::api
