#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/result.h"
#include "engine/request.h"
#include "model/kv_cache.h"

namespace gossamer::engine {

/// News of a request under way: a token, the end of it, or why it failed.
struct Update {
  std::optional<SampledToken> sampled;
  std::optional<FinishReason> finish;  ///< with the last token; nothing follows
  std::optional<Error> error;          ///< the request failed; nothing follows
  int num_cached_tokens = 0;           ///< of the prompt, taken from the prefix cache
};

/// Called on the generator's thread, one call at a time: returns quickly, and calls neither the
/// generator nor the generation's destructor.
using UpdateHandler = std::function<void(const Update&)>;

/// A request under way. Destroying it cancels the request: its handler is not called again once the
/// destructor has returned, and its blocks are free within a step. Any thread.
class Generation {
 public:
  virtual ~Generation() = default;
};

/// What a generator is doing, and has done since it was made.
struct GeneratorStatus {
  int num_waiting = 0;
  int num_running = 0;
  model::KvCacheSize total_blocks;
  model::KvCacheSize free_blocks;  ///< cached blocks that nothing uses count as free
  std::uint64_t num_prompt_tokens = 0;
  std::uint64_t num_cached_tokens = 0;  ///< of the prompt tokens, those that were not computed
  std::uint64_t num_generated_tokens = 0;
  std::uint64_t num_steps = 0;
  std::uint64_t num_preemptions = 0;
  std::uint64_t num_cancelled = 0;
  std::optional<Error> failure;  ///< why nothing is computed any more
};

/// Continues prompts, many at a time: the engine on its thread, or an engine elsewhere.
class Generator {
 public:
  virtual ~Generator() = default;

  /// Queues a request. Any thread. Errors as those of Engine::submit, and kBusy when the queue is
  /// full or the generator is shutting down.
  virtual Result<std::unique_ptr<Generation>> submit(Request request, UpdateHandler on_update) = 0;

  /// Any thread.
  virtual GeneratorStatus status() const = 0;
};

}  // namespace gossamer::engine
