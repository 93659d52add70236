#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

namespace gossamer::load {

/// What users ask, and the chance that decides it.
class Questions {
 public:
  struct Options {
    int max_tokens = 200;      ///< of an answer; each has a limit up to this
    bool has_prefaces = true;  ///< half of the questions have one, of up to about a thousand tokens
    std::uint64_t seed = 1;
  };
  explicit Questions(const Options& options) : options_(options), random_(options.seed) {}

  int below(int end);
  bool happens(double share);
  /// Until something happens again that happens so often, at random moments.
  double next_seconds(double times_per_second);

  /// Bodies of requests.
  nlohmann::ordered_json chat_completion(bool streams);
  nlohmann::ordered_json response(bool streams);

 private:
  std::string question();
  std::string effort();

  Options options_;
  std::mt19937_64 random_;
};

}  // namespace gossamer::load
