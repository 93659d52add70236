#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/block_pool.h"
#include "engine/model_runner.h"
#include "engine/request.h"
#include "engine/scheduler.h"
#include "kernels/backend.h"
#include "model/config.h"
#include "model/weights.h"

namespace gossamer::engine {

struct EngineOptions {
  int context_length = 0;      ///< longest sequence, prompt and output; at most the model's
  int max_sequences = 1;       ///< sequences in one step
  int max_batch_tokens = 512;  ///< tokens in one step: longer prompts take several
  std::uint64_t seed = 0;      ///< for requests that bring none
};

/// Runs many sequences at once: continuous batching over a paged cache. One thread calls it.
class Engine {
 public:
  /// Config, weights and backend must outlive the engine. kOutOfMemory and kInvalidArgument say
  /// what would fit.
  static Result<std::unique_ptr<Engine>> create(
      const model::Config& config,
      const model::Weights& weights,
      kernels::Backend& backend,
      const EngineOptions& options
  );

  /// Queues a request. Errors: an empty prompt, unknown tokens, bad parameters, or a prompt that
  /// the context cannot hold (kContextFull, with both numbers).
  Result<SequenceId> submit(Request request);

  /// Computes one step, and returns the tokens it brought, valid until the next call. Empty while
  /// prompts are still being read, and when idle.
  std::span<const Output> step();

  /// Forgets a sequence, wherever it is; unknown ids are ignored.
  void cancel(SequenceId id);

  bool idle() const { return scheduler_.idle(); }

  /// Free blocks of the (full, sliding) groups: all of them when idle.
  model::KvCacheSize free_blocks() const { return {full_.num_free(), sliding_.num_free()}; }

 private:
  Engine(
      const model::Config& config,
      const EngineOptions& options,
      ModelRunner runner,
      model::KvCacheSize blocks
  );

  void commit(std::span<const ScheduledSequence> step, tensor::View logits);
  Output sample(Sequence& sequence, std::span<const float> logits);

  model::Config config_;
  EngineOptions options_;
  BlockPool full_;
  BlockPool sliding_;
  Scheduler scheduler_;
  ModelRunner runner_;
  std::vector<Output> outputs_;
  SequenceId next_id_ = 1;
};

/// Bytes of KV cache that an engine with these options may come to use.
std::uint64_t kv_cache_bytes(
    const model::Config& config, const EngineOptions& options, kernels::DType activation_dtype
);

}  // namespace gossamer::engine
