#include "bench/server/load_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace gossamer::load {

namespace {

constexpr std::size_t kMaxErrors = 5;

double round_to(double value, int digits) {
  const double scale = std::pow(10.0, digits);
  return std::round(value * scale) / scale;
}

/// In milliseconds, the time below which `share` of them are; null when there are none.
Report quantile_ms(std::vector<double> seconds, double share) {
  if (seconds.empty()) return nullptr;
  const auto rank = static_cast<std::size_t>(share * static_cast<double>(seconds.size()));
  const auto place = seconds.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(seconds.begin(), place, seconds.end());
  return round_to(1e3 * *place, 2);
}

Report quantiles(const std::vector<double>& seconds) {
  return {{"p50", quantile_ms(seconds, 0.5)}, {"p99", quantile_ms(seconds, 0.99)}};
}

/// The first of each minute but the first.
Report each_minute(const std::vector<Resident>& memory) {
  Report minutes = Report::array();
  const auto minute = [&](std::size_t i) {
    return std::floor((memory[i].seconds - memory[0].seconds) / 60);
  };
  for (std::size_t i = 1; i < memory.size(); ++i) {
    if (minute(i) > minute(i - 1)) minutes.push_back(round_to(memory[i].mib, 1));
  }
  return minutes;
}

/// Growth since a third of the time was over: by then every cache is full.
Report make_memory(const std::vector<Resident>& memory) {
  if (memory.size() < 3) return nullptr;
  const double warm = memory[memory.size() / 3].mib;
  const double end = memory.back().mib;
  return {
      {"start_mib", round_to(memory[0].mib, 1)},
      {"warm_mib", round_to(warm, 1)},
      {"end_mib", round_to(end, 1)},
      {"growth_percent", round_to(100 * (end / warm - 1), 2)},
      {"each_minute_mib", each_minute(memory)}};
}

std::string text_of(const Report& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// Each "{}" is the next value.
template <class... Keys>
std::string fill(const char* format, const Report& report, Keys... keys) {
  return fmt::format(fmt::runtime(format), text_of(report.at(keys))...);
}

std::string joined(const Report& array, std::string_view separator) {
  std::string text;
  for (const Report& value : array) {
    if (!text.empty()) text += separator;
    text += text_of(value);
  }
  return text;
}

std::string errors_in_words(const Report& report) {
  const std::string first = joined(report.at("first_errors"), "\n  ");
  return text_of(report.at("errors")) + (first.empty() ? "" : "\n  " + first);
}

}  // namespace

void add_error(Tally& tally, std::string message) {
  ++tally.num_errors;
  if (tally.first_errors.size() < kMaxErrors) tally.first_errors.push_back(std::move(message));
}

Report make_report(const Tally& tally, int num_streams, Report left_behind) {
  const double completed = static_cast<double>(tally.num_completed);
  return {
      {"streams", num_streams},
      {"seconds", round_to(tally.seconds, 1)},
      {"requests", tally.num_requests},
      {"completed", tally.num_completed},
      {"hung_up", tally.num_hung_up},
      {"busy", tally.num_busy},
      {"errors", tally.num_errors},
      {"first_errors", tally.first_errors},
      {"tokens", tally.num_tokens},
      {"generated_tokens", tally.num_generated},
      {"tokens_per_second", round_to(tally.tokens_per_second, 1)},
      {"requests_per_second", round_to(completed / tally.seconds, 1)},
      {"ttft_ms", quantiles(tally.to_first_token)},
      {"inter_token_ms", quantiles(tally.between_tokens)},
      {"memory", make_memory(tally.memory)},
      {"left_behind", std::move(left_behind)}};
}

std::string to_table(const Report& report) {
  const Report& memory = report.at("memory");
  const Report& left = report.at("left_behind");
  const char* resident = "{} MiB, warm {}, end {}: {} % since warm";
  const char* requests = "{}: {} completed, {} hung up, {} busy";
  const char* tokens = "{} generated, {} a second; {} of completed requests";
  const char* quantile = "p50 {} ms, p99 {} ms";
  const std::vector<std::pair<const char*, std::string>> rows = {
      {"streams", fill("{} for {} s", report, "streams", "seconds")},
      {"requests", fill(requests, report, "requests", "completed", "hung_up", "busy")},
      {"errors", errors_in_words(report)},
      {"tokens", fill(tokens, report, "generated_tokens", "tokens_per_second", "tokens")},
      {"time to first token", fill(quantile, report.at("ttft_ms"), "p50", "p99")},
      {"between tokens", fill(quantile, report.at("inter_token_ms"), "p50", "p99")},
      {"resident memory",
       memory.is_null()
           ? "not watched (--pid)"
           : fill(resident, memory, "start_mib", "warm_mib", "end_mib", "growth_percent")},
      {"... each minute",
       memory.is_null() ? "" : joined(memory.at("each_minute_mib"), " ") + " MiB"},
      {"left behind", left.empty() ? "nothing" : left.dump()}};
  std::string table;
  for (const auto& [name, value] : rows) table += fmt::format("{:21}{}\n", name, value);
  return table;
}

}  // namespace gossamer::load
