#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace gossamer::load {

/// By name, labels included: gossamer_kv_blocks_used{group="full"}.
using Metrics = std::map<std::string, double>;

/// What /metrics answers.
Metrics parse_metrics(const std::string& text);

/// 0 where it is missing.
double generated_tokens(const Metrics& metrics);

/// What a server holds that should hold nothing, by metric; its value, or "missing".
nlohmann::ordered_json left_behind(const Metrics& metrics);

/// Memory of a process that is in RAM; nothing when it has ended.
std::optional<double> resident_mib(int pid);

}  // namespace gossamer::load
