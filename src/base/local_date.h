#pragma once

#include <string>

namespace gossamer {

/// Today where this machine is, as "2026-01-31". Any thread.
std::string local_date();

}  // namespace gossamer
