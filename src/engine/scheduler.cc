#include "engine/scheduler.h"

#include <algorithm>
#include <utility>

namespace gossamer::engine {

Scheduler::Scheduler(SchedulerLimits limits, BlockPool& full, BlockPool& sliding)
    : limits_(limits), full_(&full), sliding_(&sliding) {
  step_.reserve(static_cast<std::size_t>(limits.max_sequences));
  running_.reserve(static_cast<std::size_t>(limits.max_sequences));
}

void Scheduler::add(std::unique_ptr<Sequence> sequence) {
  waiting_.push_back(std::move(sequence));
}

Scheduler::Reservation Scheduler::reservation(const Sequence& sequence) const {
  return {
      blocks_for(sequence.max_length),
      max_sliding_blocks(limits_.sliding_window, limits_.max_batch_tokens, sequence.max_length)};
}

void Scheduler::admit_waiting() {
  while (!waiting_.empty() && static_cast<int>(running_.size()) < limits_.max_sequences) {
    Sequence& next = *waiting_.front();
    const Reservation needed = reservation(next);
    if (reserved_.full + needed.full > full_->num_blocks()) return;
    if (reserved_.sliding + needed.sliding > sliding_->num_blocks()) return;
    reserved_.full += needed.full;
    reserved_.sliding += needed.sliding;
    next.blocks =
        std::make_unique<BlockTables>(*full_, *sliding_, limits_.sliding_window, next.max_length);
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

const std::vector<ScheduledSequence>& Scheduler::schedule() {
  admit_waiting();
  step_.clear();
  int budget = limits_.max_batch_tokens;
  const auto give = [&](Sequence& sequence, int count) {
    sequence.blocks->release_passed(sequence.num_computed);
    sequence.blocks->grow(sequence.num_computed + count);
    step_.push_back({&sequence, count, count == sequence.num_pending()});
    budget -= count;
  };
  for (const auto& sequence : running_) {
    if (sequence->num_pending() == 1 && budget > 0) give(*sequence, 1);
  }
  for (const auto& sequence : running_) {
    if (sequence->num_pending() > 1 && budget > 0) {
      give(*sequence, std::min(budget, sequence->num_pending()));
    }
  }
  return step_;
}

bool Scheduler::remove(SequenceId id) {
  const auto has_id = [id](const auto& sequence) { return sequence->id == id; };
  const auto running = std::find_if(running_.begin(), running_.end(), has_id);
  if (running != running_.end()) {
    const Reservation released = reservation(**running);
    reserved_.full -= released.full;
    reserved_.sliding -= released.sliding;
    running_.erase(running);
    return true;
  }
  return std::erase_if(waiting_, has_id) > 0;
}

}  // namespace gossamer::engine
