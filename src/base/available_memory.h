#pragma once

#include <cstdint>
#include <optional>

namespace gossamer {

/// The memory that this process could still fill without swapping: what the system says is
/// available, or the rest of the control group's (a container's) share when that is less. Nothing
/// when the system does not say.
std::optional<std::uint64_t> available_memory_bytes();

}  // namespace gossamer
