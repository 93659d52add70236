#pragma once

#include <cstddef>

#include "base/result.h"
#include "kernels/backend.h"

namespace gossamer::kernels::cuda {

/// How weights travel. Each thread has two pieces on their way: one that it copies to pinned
/// memory, and one that the device fetches from there and packs.
struct WeightTransfer {
  int num_threads = 8;
  std::size_t piece_bytes = std::size_t{2} << 20U;
};

/// Brings weights to the current device, laid out as weight_placement.h says. The device needs
/// their packed size and two pieces a thread. Complete when it returns; `progress` is called on the
/// caller's thread, and may be empty. kOutOfMemory says what was asked for, and what is free.
Result<ResidentWeights> load_weights(
    const Weights& host, const LoadProgress& progress, const WeightTransfer& transfer = {}
);

}  // namespace gossamer::kernels::cuda
