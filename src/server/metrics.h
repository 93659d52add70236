#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/generator.h"
#include "harmony/diagnostic.h"

namespace gossamer::server {

/// What Prometheus is told. Any thread.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void time_to_first_token(double seconds);
  void inter_token(double seconds);
  void header_repairs(const harmony::RepairCounts& counts);

  /// `path` is a route's pattern, so that ids do not make new series.
  void answered(std::string_view path, int status);

  /// All metrics in the text format, with the generator's status as it is now.
  std::string text(const engine::GeneratorStatus* status, int num_connections);

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace gossamer::server
