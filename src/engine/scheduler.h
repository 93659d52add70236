#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/block_pool.h"
#include "engine/prefix_cache.h"
#include "engine/sequence.h"
#include "engine/waiting_queue.h"

namespace gossamer::engine {

/// One sequence's part in a step: its next num_new_tokens tokens. The last of them gives logits
/// when it is the sequence's last.
struct ScheduledSequence {
  Sequence* sequence;
  int num_new_tokens;
  bool wants_logits;
};

/// The beginning of a block that two sequences share, which the later one takes from the earlier.
struct BlockCopy {
  BlockPair from;
  BlockPair to;
};

/// The limits a scheduler works in.
struct SchedulerLimits {
  int max_batch_tokens = 512;  // at least max_sequences
  int max_sequences = 64;
  int sliding_window = 0;
};

/// Decides what each step computes: every running sequence's next token first, then prompts, in
/// chunks that share what is left of the step equally. A sequence is admitted when there are blocks
/// for the tokens it has, not for all it may come to have; when blocks run out, the youngest gives
/// its own up and waits to be computed again, with the tokens it has by then. The oldest always
/// advances, so everyone ends. Engine thread only.
class Scheduler {
 public:
  /// The pools must hold a window and the whole of the longest sequence that is added.
  Scheduler(SchedulerLimits limits, BlockPool& full, BlockPool& sliding, PrefixCache& cache);

  void add(std::unique_ptr<Sequence> sequence);

  /// The next step, empty when there is nothing to do. Blocks for its tokens are taken.
  const std::vector<ScheduledSequence>& schedule();

  /// What must be copied, in this order, before the step is computed.
  const std::vector<BlockCopy>& copies() const { return copies_; }

  /// Notes that a part of the step was computed: what it filled may now be reused.
  void mark_computed(const ScheduledSequence& part);

  /// Drops a sequence and frees its blocks; false when there is none of that id. What it computed
  /// stays in the prefix cache.
  bool remove(SequenceId id);

  bool idle() const { return waiting_.empty() && running_.empty(); }
  int num_waiting() const { return waiting_.size(); }
  int num_running() const { return static_cast<int>(running_.size()); }

  /// Since the scheduler was made. Prompts count when they are first admitted.
  struct Counters {
    std::uint64_t num_prompt_tokens = 0;
    std::uint64_t num_cached_tokens = 0;
    std::uint64_t num_preemptions = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  void admit_waiting();
  bool has_room_for(const Sequence& sequence, const BlockTables& blocks) const;
  void admit(std::unique_ptr<BlockTables> blocks, const PrefixStart& start);
  void copy_partial(BlockTables& blocks, const PrefixStart& start);
  int schedule_decode();
  void schedule_prefill(int budget);
  int give(Sequence& sequence, int count);
  int num_fitting(const Sequence& sequence, int count) const;
  void preempt_youngest();
  void release(Sequence& sequence);

  SchedulerLimits limits_;
  BlockPool* full_;
  BlockPool* sliding_;
  PrefixCache* cache_;
  WaitingQueue waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;  // by age
  std::vector<ScheduledSequence> step_;
  std::vector<BlockCopy> copies_;      // of the step
  std::vector<Sequence*> prefilling_;  // of the step that is being made
  std::uint64_t last_age_ = 0;
  Counters counters_;
};

}  // namespace gossamer::engine
