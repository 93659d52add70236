#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "apps/gossamer/loaded_model.h"
#include "base/result.h"
#include "engine/sampling_params.h"

namespace gossamer::apps {

/// --batch-jsonl and how many sequences run at once.
struct BatchFlags {
  bool enabled = false;
  int parallel = 16;
};

void add_batch_flags(CLI::App& app, BatchFlags& flags);

/// Reads a request a line from stdin, {"tokens":[…]} or {"prompt":"…"} and optionally "max_tokens",
/// and prints a line for each, in the same order: {"tokens":[…],"text":…,"finish_reason":…}, or
/// {"error":…} for a request that cannot run. Sequences are batched continuously. Returns the exit
/// status.
Result<int> run_batch(
    const ModelFlags& model_flags,
    const BatchFlags& flags,
    const engine::SamplingParams& sampling,
    std::optional<int> max_tokens,
    const LoadedModel& model
);

}  // namespace gossamer::apps
