#include "base/available_memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

namespace gossamer {
namespace {

/// The number after a word in a file of "word number" lines.
std::optional<std::uint64_t> read_entry(const char* path, const std::string& wanted) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.compare(0, wanted.size(), wanted) != 0) continue;
    // At most 20 digits can follow, which strtoull turns into the largest number at worst.
    return std::strtoull(line.c_str() + wanted.size(), nullptr, 10);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> read_number(const char* path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;  // no such file, or "max": no limit
}

std::optional<std::uint64_t> available_in_control_group() {
  const auto limit = read_number("/sys/fs/cgroup/memory.max");
  const auto used = read_number("/sys/fs/cgroup/memory.current");
  if (!limit || !used) return std::nullopt;
  // The page cache counts as used, but makes way.
  const std::uint64_t cache = read_entry("/sys/fs/cgroup/memory.stat", "file ").value_or(0);
  const std::uint64_t held = *used - std::min(cache, *used);
  return *limit - std::min(held, *limit);
}

}  // namespace

std::optional<std::uint64_t> available_memory_bytes() {
  auto available = read_entry("/proc/meminfo", "MemAvailable:");
  if (available) *available *= 1024;  // stated in kB
  const auto in_group = available_in_control_group();
  if (!available) return in_group;
  return std::min(*available, in_group.value_or(*available));
}

}  // namespace gossamer
