#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "base/thread_pool.h"
#include "checkpoint/synthetic_spec.h"
#include "checkpoint/weight_generator.h"
#include "model/weights.h"
#include "tensor/buffer.h"

namespace gossamer::checkpoint {

/// A synthetic model in memory: the weights, and the one buffer that they are in.
struct SyntheticModel {
  model::Weights weights;
  std::unique_ptr<tensor::HostBuffer> buffer;
};

/// Told, during long work, how much of it is done.
using ProgressCallback = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

/// Makes a model of random weights, on all of the pool's threads, reporting each tensor to
/// on_progress if there is one. kOutOfMemory, before any work, when the system has less memory
/// available than the weights take; `name` stands for the model in that error.
Result<SyntheticModel> make_synthetic_model(
    const SyntheticSpec& spec,
    ThreadPool& pool,
    std::string_view name,
    const ProgressCallback& on_progress = {}
);

/// Fills `out` with a tensor's bytes from offset_bytes (a multiple of 8) on, on all of the pool's
/// threads.
void generate_in_parallel(
    const WeightGenerator& generator,
    std::uint64_t offset_bytes,
    std::span<std::byte> out,
    ThreadPool& pool
);

}  // namespace gossamer::checkpoint
