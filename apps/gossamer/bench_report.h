#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/gossamer/loaded_model.h"
#include "engine/engine.h"
#include "kernels/profiling_backend.h"

namespace gossamer::apps {

struct BenchFlags {
  ModelFlags model;
  int prompt = 256;
  int generate = 32;
  int context = 0;  ///< 0: as prompt
  int batch = 1;
  int repeat = 3;
  bool profile = false;
  bool json = false;
};

/// The least, the middle and the largest of some repetitions.
struct Spread {
  double min;
  double median;
  double max;
};

/// The operations of some steps, each waited for.
struct StepProfile {
  int num_steps = 0;
  double seconds = 0;           // all of it
  double choosing_seconds = 0;  // of it, on choosing tokens
  std::vector<kernels::OpProfile> ops;
};

/// What a benchmark found.
struct BenchReport {
  Spread prefill_tokens_per_second;
  Spread decode_tokens_per_second;
  double step_seconds = 0;                      // of a decode step, the median
  double step_bytes = 0;                        // that a decode step reads
  std::optional<double> read_bytes_per_second;  // what memory gives, where it is measured
  StepProfile decode;
  StepProfile prefill;  // only with --profile

  double step_bytes_per_second() const { return step_bytes / step_seconds; }
  /// The time in which a step's tokens are chosen.
  double choosing_seconds() const { return decode.choosing_seconds / decode.num_steps; }
};

/// Writes the report to stdout, as one JSON object with --json.
void print_report(
    const BenchFlags& flags,
    const LoadedModel& model,
    const engine::MemoryUse& memory,
    const BenchReport& report
);

}  // namespace gossamer::apps
