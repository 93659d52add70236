#include "bench/server/server_state.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace gossamer::load {

Metrics parse_metrics(const std::string& text) {
  Metrics metrics;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.rfind(' ');
    if (line.starts_with('#') || space == std::string::npos) continue;
    metrics[line.substr(0, space)] = std::strtod(line.c_str() + space, nullptr);
  }
  return metrics;
}

double generated_tokens(const Metrics& metrics) {
  const auto found = metrics.find("gossamer_generated_tokens_total");
  return found == metrics.end() ? 0 : found->second;
}

nlohmann::ordered_json left_behind(const Metrics& metrics) {
  constexpr std::array kMustBeZero = {
      "gossamer_requests_running",
      "gossamer_requests_waiting",
      R"(gossamer_kv_blocks_used{group="full"})",
      R"(gossamer_kv_blocks_used{group="sliding"})"};
  auto left = nlohmann::ordered_json::object();
  for (const char* name : kMustBeZero) {
    const auto found = metrics.find(name);
    if (found == metrics.end()) {
      left[name] = "missing";
    } else if (found->second != 0) {
      left[name] = found->second;
    }
  }
  return left;
}

std::optional<double> resident_mib(int pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string word; status >> word;) {
    double kib = 0;
    if (word == "VmRSS:" && status >> kib) return kib / 1024;
  }
  return std::nullopt;
}

}  // namespace gossamer::load
