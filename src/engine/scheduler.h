#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "engine/block_pool.h"
#include "engine/sequence.h"

namespace gossamer::engine {

/// One sequence's part in a step: its next num_new_tokens tokens. The last of them gives logits
/// when it is the sequence's last.
struct ScheduledSequence {
  Sequence* sequence;
  int num_new_tokens;
  bool wants_logits;
};

/// The limits a scheduler works in.
struct SchedulerLimits {
  int max_batch_tokens = 512;
  int max_sequences = 64;
  int sliding_window = 0;
};

/// Decides what each step computes: every running sequence's next token first, then waiting prompts
/// in order of arrival, cut into chunks that fill the step. A sequence is admitted when the blocks
/// it may come to need are there, so none ever runs out. Engine thread only.
class Scheduler {
 public:
  Scheduler(SchedulerLimits limits, BlockPool& full, BlockPool& sliding);

  void add(std::unique_ptr<Sequence> sequence);

  /// The next step, empty when there is nothing to do. Blocks for its tokens are taken.
  const std::vector<ScheduledSequence>& schedule();

  /// Drops a sequence and frees its blocks; false when there is none of that id.
  bool remove(SequenceId id);

  bool idle() const { return waiting_.empty() && running_.empty(); }

 private:
  struct Reservation {
    int full;
    int sliding;
  };
  Reservation reservation(const Sequence& sequence) const;
  void admit_waiting();

  SchedulerLimits limits_;
  BlockPool* full_;
  BlockPool* sliding_;
  Reservation reserved_{0, 0};
  std::deque<std::unique_ptr<Sequence>> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;  // in order of arrival
  std::vector<ScheduledSequence> step_;
};

}  // namespace gossamer::engine
