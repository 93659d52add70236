#include "tools/clock_tool.h"

#include <absl/time/time.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace gossamer::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kParameters =
    R"({"type":"object","properties":{"timezone":{"type":"string",)"
    R"("description":"IANA name, e.g. Europe/Paris","default":"UTC"}}})";
constexpr std::size_t kMaxZoneName = 64;

Error bad_call(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

/// The zone that the arguments ask for.
Result<std::string> zone_name(const std::string& arguments) {
  if (arguments.find_first_not_of(" \t\r\n") == std::string::npos) return std::string("UTC");
  const Json json = Json::parse(arguments, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return bad_call(R"(the arguments must be JSON like {"timezone": "UTC"})");
  std::string zone = "UTC";
  for (const auto& [key, value] : json.items()) {
    if (key != "timezone") return bad_call("there is no field but \"timezone\"");
    if (value.is_null()) continue;
    if (!value.is_string()) return bad_call("\"timezone\" must be a string");
    zone = value.get<std::string>();
  }
  return zone;
}

bool is_zone_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '+' || c == '/';
}

/// Names are looked up as files: nothing but a name of the database may be asked for.
Result<absl::TimeZone> load_zone(const std::string& name) {
  const bool is_name = !name.empty() && name.size() <= kMaxZoneName && name.front() != '/' &&
                       std::all_of(name.begin(), name.end(), is_zone_character);
  absl::TimeZone zone;
  if (is_name && absl::LoadTimeZone(name, &zone)) return zone;
  return bad_call("unknown time zone; give an IANA name such as Europe/Paris, or UTC");
}

Result<std::string> tell_time(
    const harmony::Message& call, std::chrono::system_clock::time_point now
) {
  const bool is_now = call.recipient == "clock.now" || call.recipient == "clock";
  if (!is_now) return bad_call("the clock has one function: clock.now");
  GOSSAMER_ASSIGN_OR_RETURN(const std::string name, zone_name(call.text()));
  GOSSAMER_ASSIGN_OR_RETURN(const absl::TimeZone zone, load_zone(name));
  const absl::Time time = absl::FromChrono(now);
  const auto format = [&](std::string_view pattern) {
    return absl::FormatTime({pattern.data(), pattern.size()}, time, zone);
  };
  const Json answer = {
      {"datetime", format("%Y-%m-%dT%H:%M:%S%Ez")},
      {"date", format("%Y-%m-%d")},
      {"time", format("%H:%M:%S")},
      {"weekday", format("%A")},
      {"timezone", name}};
  return answer.dump();
}

}  // namespace

ClockTool::ClockTool(Now now) : now_(std::move(now)) {
  declaration_.name = "clock";
  declaration_.description = "Tells the date and time.";
  declaration_.functions = {
      {.name = "now",
       .description = "What date, time and weekday it is now.",
       .parameters = std::string(kParameters)}};
}

ToolResult ClockTool::run(const harmony::Message& call, std::stop_token /*stop*/) const {
  auto answer = tell_time(call, now_());
  if (!answer.ok()) return {.output = "Error: " + answer.error().message, .failed = true};
  return {.output = std::move(answer).value()};
}

}  // namespace gossamer::tools
