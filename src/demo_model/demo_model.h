#pragma once

#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace gossamer::demo_model {

/// The model used when none is named: a small gpt-oss (data/demo), built into the program.
Result<checkpoint::Checkpoint> open();

}  // namespace gossamer::demo_model
