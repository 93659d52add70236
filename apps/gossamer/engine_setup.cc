#include "apps/gossamer/engine_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/available_memory.h"
#include "base/terminal.h"
#include "checkpoint/model_summary.h"
#include "engine/kv_size.h"

namespace gossamer::apps {
namespace {

// A context that is shortened to what fits stays at least this long.
constexpr int kShortestContext = 4096;

/// The model's context, or as much of it as half of the host's memory holds: weights of a mapped
/// checkpoint count as available until they are read.
int longest_context(const LoadedModel& model, engine::EngineOptions options) {
  options.context_length = model.checkpoint.config().max_context_length;
  // The engine itself cuts the cache to the memory of a device.
  if (model.backend->free_memory_bytes()) return options.context_length;
  const auto available = available_memory_bytes();
  const auto fits = [&] {
    const auto bytes =
        engine::kv_cache_bytes(model.checkpoint.config(), options, model.backend->kv_dtype());
    return !available || bytes <= *available / 2;
  };
  while (options.context_length > kShortestContext && !fits()) options.context_length /= 2;
  return options.context_length;
}

}  // namespace

engine::EngineOptions engine_options(
    const ModelFlags& flags, const LoadedModel& model, int max_sequences
) {
  engine::EngineOptions options{
      .max_sequences = max_sequences,
      .max_batch_tokens = std::max(model.backend->preferred_step_tokens(), max_sequences)};
  // A context that was asked for stands: the engine refuses what the model cannot.
  options.context_length = flags.context > 0 ? flags.context : longest_context(model, options);
  return options;
}

Result<std::unique_ptr<engine::Engine>> make_engine(
    const ModelFlags& flags,
    const LoadedModel& model,
    kernels::Backend& backend,
    const engine::EngineOptions& options
) {
  GOSSAMER_ASSIGN_OR_RETURN(
      auto engine,
      engine::Engine::create(model.checkpoint.config(), model.resident.weights, backend, options)
  );
  if (flags.context <= engine->longest_sequence()) return engine;
  return make_error(
      ErrorCode::kOutOfMemory,
      "a context of {} tokens was asked for, and the {} that are left for the KV cache hold {}; "
      "ask for that, or for fewer sequences than {}",
      flags.context,
      format_bytes(engine->memory().kv_cache_bytes),
      engine->longest_sequence(),
      options.max_sequences
  );
}

std::uint64_t weight_bytes(const LoadedModel& model) {
  std::uint64_t bytes = 0;
  for (const auto& buffer : model.resident.buffers) bytes += buffer->size_bytes();
  if (bytes > 0) return bytes;
  return checkpoint::summarize(model.checkpoint.config()).total.bytes;
}

void print_memory(const LoadedModel& model, const engine::MemoryUse& memory) {
  std::string line = fmt::format(
      "memory: weights {}, KV cache {} = {} tokens, scratch {}",
      format_bytes(weight_bytes(model)),
      format_bytes(memory.kv_cache_bytes),
      format_grouped(static_cast<std::uint64_t>(memory.kv_cache_tokens)),
      format_bytes(memory.scratch_bytes)
  );
  if (memory.free_bytes) line += fmt::format(", free {}", format_bytes(*memory.free_bytes));
  fmt::print(stderr, "{}\n", line);
}

}  // namespace gossamer::apps
