#pragma once

#include <compare>
#include <functional>
#include <map>

#include "kernels/cuda/memory.cuh"
#include "kernels/step.h"

namespace gossamer::kernels::cuda {

/// Recordings of small decode steps, one for each shape. Such a step is over sooner than a host can
/// launch its operations one by one.
class StepRecordings {
 public:
  /// Runs the operations that `ops` launches on the stream. A shape's first time they run as they
  /// are, so that what is made on first use is there; the second time they are recorded, and from
  /// then on replayed. The step must be StepUpload's.
  void run(const Step& step, cudaStream_t stream, const std::function<void()>& ops);

  /// Forgets all: recordings hold addresses, and those may be given to others.
  void forget() { recordings_.clear(); }

 private:
  /// All that may differ from step to step and is not read from the device's memory.
  struct Shape {
    int num_sequences;
    int num_logit_rows;
    int max_context_len;

    auto operator<=>(const Shape&) const = default;
  };

  std::map<Shape, GraphExec> recordings_;  // empty after the first time
};

}  // namespace gossamer::kernels::cuda
