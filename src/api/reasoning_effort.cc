#include "api/reasoning_effort.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string_view>

namespace gossamer::api {
namespace {

using harmony::ReasoningEffort;

struct Word {
  std::string_view word;
  ReasoningEffort effort;
};

constexpr std::array<Word, 7> kWords = {{
    {"low", ReasoningEffort::kLow},
    {"medium", ReasoningEffort::kMedium},
    {"high", ReasoningEffort::kHigh},
    {"none", ReasoningEffort::kLow},
    {"minimal", ReasoningEffort::kLow},
    {"xhigh", ReasoningEffort::kHigh},
    {"max", ReasoningEffort::kHigh},
}};

std::optional<ReasoningEffort> effort_of(
    std::string_view word, const std::string& path, std::vector<std::string>& warnings
) {
  for (const Word& known : kWords) {
    if (known.word != word) continue;
    const std::string_view name = effort_name(known.effort);
    if (name != word) warnings.push_back(fmt::format("{}: {} is read as {}", path, word, name));
    return known.effort;
  }
  return std::nullopt;
}

/// Reads the field that other servers know, which is no reason to refuse a request.
std::optional<ReasoningEffort> read_lenient(
    const ObjectReader& reader, std::vector<std::string>& warnings
) {
  const Json* word = reader.find("reasoning_effort");
  if (word == nullptr) return std::nullopt;
  const std::string path = reader.path_of("reasoning_effort");
  std::optional<ReasoningEffort> effort;
  if (word->is_string()) effort = effort_of(word->get<std::string>(), path, warnings);
  if (!effort) warnings.push_back(path + ": not low, medium or high; ignored");
  return effort;
}

std::optional<ReasoningEffort> read_strict(
    const ObjectReader& request, std::vector<std::string>& warnings
) {
  const Json* reasoning = request.object("reasoning");
  if (reasoning == nullptr) return std::nullopt;
  const ObjectReader reader(*reasoning, request.path_of("reasoning"), request.error());
  const auto word = reader.string("effort");
  if (!word) return std::nullopt;
  const auto effort = effort_of(*word, reader.path_of("effort"), warnings);
  if (!effort) reader.fail("effort", fmt::format("is '{}'; it must be low, medium or high", *word));
  return effort;
}

}  // namespace

ReasoningEffort read_reasoning_effort(
    const ObjectReader& request, std::vector<std::string>& warnings
) {
  if (const auto effort = read_strict(request, warnings)) return *effort;
  if (const auto effort = read_lenient(request, warnings)) return *effort;
  const Json* arguments = request.find("chat_template_kwargs");
  if (arguments != nullptr && arguments->is_object()) {
    const ObjectReader reader(*arguments, "chat_template_kwargs", request.error());
    if (const auto effort = read_lenient(reader, warnings)) return *effort;
  }
  return ReasoningEffort::kMedium;
}

}  // namespace gossamer::api
