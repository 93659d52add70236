#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "engine/block_pool.h"
#include "engine/engine_options.h"
#include "engine/generator.h"
#include "engine/kv_size.h"
#include "engine/model_runner.h"
#include "engine/prefix_cache.h"
#include "engine/request.h"
#include "engine/scheduler.h"
#include "kernels/backend.h"
#include "model/config.h"
#include "model/weights.h"

namespace gossamer::engine {

/// Runs many sequences at once: continuous batching over a paged cache, which remembers prefixes.
/// One thread calls it, but for check().
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

  /// Whether submit would take a request: an empty prompt, unknown tokens and bad parameters are
  /// errors, and a prompt that the context or the KV cache cannot hold (kContextFull, with both
  /// numbers). Any thread.
  Status check(const Request& request) const;

  /// Queues a request. Errors as check's.
  Result<SequenceId> submit(Request request);

  /// Computes one step, and returns the tokens it brought, valid until the next call. Empty while
  /// prompts are still being read, and when idle.
  std::span<const Output> step();

  /// Forgets a sequence, wherever it is; unknown ids are ignored.
  void cancel(SequenceId id);

  bool idle() const { return scheduler_.idle(); }

  /// Blocks of the (full, sliding) groups that no sequence uses: all of them when idle.
  model::KvCacheSize free_blocks() const { return {full_.num_free(), sliding_.num_free()}; }

  GeneratorStatus status() const;

  /// Sequences that run at once.
  int max_sequences() const { return options_.max_sequences; }

 private:
  Engine(
      const model::Config& config,
      const EngineOptions& options,
      kernels::Backend& backend,
      ModelRunner runner,
      model::KvCacheSize blocks
  );

  std::vector<int> snapshot_positions(const Request& request) const;
  void commit(std::span<const ScheduledSequence> step, tensor::View logits);
  void fill_masks();
  void sample(tensor::View logits);
  void accept(Sequence& sequence, Output& output) const;

  /// A sequence that gets a token in this step.
  struct Row {
    Sequence* sequence;
    bool is_masked;
  };
  std::span<std::uint64_t> mask_of(std::size_t row);

  model::Config config_;
  EngineOptions options_;
  kernels::Backend* backend_;
  int longest_sequence_;  // what context and cache can hold
  BlockPool full_;
  BlockPool sliding_;
  PrefixCache cache_;
  Scheduler scheduler_;
  ModelRunner runner_;
  ThreadPool sampling_pool_;
  std::vector<SamplerScratch> scratch_;  // [sampling threads]
  std::vector<Row> rows_;                // [rows of logits]
  std::vector<std::uint64_t> masks_;     // [max_sequences, vocab_size / 64]
  std::vector<Output> outputs_;          // as rows_
  SequenceId next_id_ = 1;
  std::uint64_t num_generated_ = 0;
  std::uint64_t num_steps_ = 0;
  std::uint64_t num_cancelled_ = 0;
};

}  // namespace gossamer::engine
