#pragma once

#include <memory>

#include "apps/gossamer/loaded_model.h"
#include "base/result.h"
#include "kernels/backend.h"

namespace gossamer::apps {

/// The backend that the flags name; with "auto", CUDA where it can be had, else the CPU. A driver
/// or device that is there but of no use to "auto" is told of on stderr.
Result<std::unique_ptr<kernels::Backend>> choose_backend(const ModelFlags& flags);

}  // namespace gossamer::apps
