#include "base/local_date.h"

#include <fmt/chrono.h>

namespace gossamer {

std::string local_date(std::time_t time) {
  std::tm local{};
  ::localtime_r(&time, &local);
  return fmt::format("{:%Y-%m-%d}", local);
}

}  // namespace gossamer
