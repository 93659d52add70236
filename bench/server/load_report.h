#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace gossamer::load {

/// In the order in which it is written.
using Report = nlohmann::ordered_json;

/// Memory of the server that is in RAM.
struct Resident {
  double seconds;  ///< since the load began
  double mib;
};

/// What was counted and measured.
struct Tally {
  std::int64_t num_requests = 0;
  std::int64_t num_completed = 0;
  std::int64_t num_hung_up = 0;
  std::int64_t num_busy = 0;
  std::int64_t num_errors = 0;
  std::vector<std::string> first_errors;  // the rest is only counted
  std::int64_t num_tokens = 0;            // of completed requests
  std::int64_t num_generated = 0;         // by the server, until nobody asked any more
  double tokens_per_second = 0;           // of the server, while all streams were busy
  double seconds = 0;
  std::vector<double> to_first_token;  // seconds
  std::vector<double> between_tokens;  // seconds
  std::vector<Resident> memory;
};

void add_error(Tally& tally, std::string message);

/// `left_behind` is an object: what the server holds at the end, and should not.
Report make_report(const Tally& tally, int num_streams, Report left_behind);

/// The report in words, two columns.
std::string to_table(const Report& report);

}  // namespace gossamer::load
