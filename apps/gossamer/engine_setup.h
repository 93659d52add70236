#pragma once

#include <memory>

#include "apps/gossamer/loaded_model.h"
#include "base/result.h"
#include "engine/engine.h"
#include "kernels/backend.h"

namespace gossamer::apps {

/// Options for so many sequences, each as long as --context says; without it as long as the model
/// takes, or as fits in the host's memory. Steps are as long as the backend likes them.
engine::EngineOptions engine_options(
    const ModelFlags& flags, const LoadedModel& model, int max_sequences
);

/// An engine for the model on `backend`, which has its weights. kOutOfMemory when it cannot hold a
/// sequence as long as --context says, with what would fit.
Result<std::unique_ptr<engine::Engine>> make_engine(
    const ModelFlags& flags,
    const LoadedModel& model,
    kernels::Backend& backend,
    const engine::EngineOptions& options
);

/// Tells on stderr, in one line, where the memory goes.
void print_memory(const LoadedModel& model, const engine::MemoryUse& memory);

/// Bytes of the weights, where the operations read them.
std::uint64_t weight_bytes(const LoadedModel& model);

}  // namespace gossamer::apps
