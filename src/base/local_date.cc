#include "base/local_date.h"

#include <fmt/chrono.h>

#include <ctime>

namespace gossamer {

std::string local_date() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  return fmt::format("{:%Y-%m-%d}", local);
}

}  // namespace gossamer
