#pragma once

#include <ctime>
#include <string>

namespace gossamer {

/// The day of `time` where this machine is, as "2026-01-31"; today's. Any thread.
std::string local_date(std::time_t time = std::time(nullptr));

}  // namespace gossamer
