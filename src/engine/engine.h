#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/result.h"
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

/// Where an engine's memory goes, weights aside.
struct MemoryUse {
  std::uint64_t kv_cache_bytes = 0;
  std::int64_t kv_cache_tokens = 0;         ///< positions in full attention
  std::uint64_t scratch_bytes = 0;          ///< what steps are computed in
  std::optional<std::uint64_t> free_bytes;  ///< left on a backend with memory of its own
};

/// Runs many sequences at once: continuous batching over a paged cache, which remembers prefixes.
/// One thread calls it, but for check().
class Engine {
 public:
  /// Config, weights (resident in the backend) and backend must outlive the engine. kOutOfMemory
  /// and kInvalidArgument say what would fit. On a backend with memory of its own, the KV cache is
  /// cut to what weights and scratch leave there, but for a reserve.
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

  const MemoryUse& memory() const { return memory_; }

  /// Time spent on choosing tokens so far. On a device it begins with waiting for the logits.
  double choosing_seconds() const { return choosing_seconds_; }

  /// The longest prompt and answer together, in tokens, that context and cache hold.
  int longest_sequence() const { return longest_sequence_; }

  /// Sequences that run at once.
  int max_sequences() const { return options_.max_sequences; }

 private:
  Engine(
      const model::Config& config,
      const EngineOptions& options,
      kernels::Backend& backend,
      ModelRunner runner,
      const MemoryUse& memory
  );

  std::vector<int> snapshot_positions(const Request& request) const;
  void commit(std::span<const ScheduledSequence> step, tensor::View logits);
  void fill_masks();
  void choose(tensor::View logits);
  void choose_on_host(tensor::View logits);
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
  MemoryUse memory_;
  int longest_sequence_;
  BlockPool full_;
  BlockPool sliding_;
  PrefixCache cache_;
  Scheduler scheduler_;
  ModelRunner runner_;
  std::vector<ChoiceScratch> scratch_;           // [host threads]
  std::vector<Row> rows_;                        // [rows of logits]
  std::vector<std::uint64_t> masks_;             // [max_sequences, vocab_size / 64]
  std::vector<kernels::SampleRow> sample_rows_;  // as rows_
  std::vector<SampledToken> sampled_;            // as rows_
  std::vector<Output> outputs_;                  // as rows_
  SequenceId next_id_ = 1;
  std::uint64_t num_generated_ = 0;
  std::uint64_t num_steps_ = 0;
  double choosing_seconds_ = 0;
  std::uint64_t num_cancelled_ = 0;
  std::jthread committing_;  // last: it ends before what it commits
};

}  // namespace gossamer::engine
