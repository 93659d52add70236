#include "engine/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace gossamer::engine {

Scheduler::Scheduler(
    SchedulerLimits limits, BlockPool& full, BlockPool& sliding, PrefixCache& cache
)
    : limits_(limits), full_(&full), sliding_(&sliding), cache_(&cache) {
  step_.reserve(static_cast<std::size_t>(limits.max_sequences));
  running_.reserve(static_cast<std::size_t>(limits.max_sequences));
  prefilling_.reserve(static_cast<std::size_t>(limits.max_sequences));
}

void Scheduler::add(std::unique_ptr<Sequence> sequence) {
  waiting_.add(std::move(sequence));
}

bool Scheduler::has_room_for(const Sequence& sequence, const BlockTables& blocks) const {
  if (running_.empty()) return true;
  int full = blocks.missing_full(std::min(sequence.length() + 1, sequence.max_length));
  int sliding =
      std::min(blocks.missing_sliding(sequence.max_length), blocks_for(limits_.sliding_window) + 1);
  // A block more for each running sequence, if it may come to need one: the newcomer shall not be
  // preempted at once.
  for (const auto& other : running_) {
    full += std::min(1, other->blocks->missing_full(other->max_length));
    sliding += std::min(1, other->blocks->missing_sliding(other->max_length));
  }
  return full_->num_free() >= full && sliding_->num_free() >= sliding;
}

void Scheduler::copy_partial(BlockTables& blocks, const PrefixStart& start) {
  // The source may go now: its bytes are there until the step is computed.
  cache_->make_room(0, blocks.missing_sliding(start.position));
  blocks.grow(start.position);
  const auto index = static_cast<std::size_t>(start.position / kernels::kBlockSize);
  copies_.push_back({*start.partial, {blocks.full()[index], blocks.sliding()[index]}});
}

void Scheduler::admit(std::unique_ptr<BlockTables> blocks, const PrefixStart& start) {
  std::unique_ptr<Sequence> sequence = waiting_.take_next();
  cache_->make_room(blocks->missing_full(sequence->length()), 0);
  blocks->grow_full(sequence->length());
  if (start.partial) copy_partial(*blocks, start);
  sequence->blocks = std::move(blocks);
  sequence->num_computed = start.position;
  sequence->num_published = start.position / kernels::kBlockSize;
  cache_->touch(sequence->blocks->full(), sequence->num_published);
  if (sequence->age == 0) {
    sequence->age = ++last_age_;
    sequence->num_cached_tokens = start.position;
    counters_.num_prompt_tokens += static_cast<std::uint64_t>(sequence->num_prompt_tokens);
    counters_.num_cached_tokens += static_cast<std::uint64_t>(start.position);
  }
  const auto place = std::upper_bound(
      running_.begin(),
      running_.end(),
      sequence->age,
      [](std::uint64_t age, const auto& other) { return age < other->age; }
  );
  running_.insert(place, std::move(sequence));
}

void Scheduler::admit_waiting() {
  while (!waiting_.empty() && num_running() < limits_.max_sequences) {
    const Sequence& next = waiting_.next();
    auto blocks =
        std::make_unique<BlockTables>(*full_, *sliding_, limits_.sliding_window, next.length());
    // Blocks that are resumed from stop being free: they are used first, and then counted.
    const PrefixStart start = cache_->resume(next.tokens, *blocks);
    if (!has_room_for(next, *blocks)) return;
    admit(std::move(blocks), start);
  }
}

const std::vector<ScheduledSequence>& Scheduler::schedule() {
  step_.clear();
  copies_.clear();
  admit_waiting();
  schedule_prefill(limits_.max_batch_tokens - schedule_decode());
  return step_;
}

int Scheduler::schedule_decode() {
  int num_tokens = 0;
  // By index: giving one sequence its blocks can take away the last.
  for (std::size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->num_pending() == 1) num_tokens += give(*running_[i], 1);
  }
  return num_tokens;
}

void Scheduler::schedule_prefill(int budget) {
  prefilling_.clear();
  for (const auto& sequence : running_) {
    if (sequence->num_pending() > 1) prefilling_.push_back(sequence.get());
  }
  // Who needs less than an equal share leaves the rest of it to those who need more.
  std::sort(prefilling_.begin(), prefilling_.end(), [](const Sequence* a, const Sequence* b) {
    return std::pair(a->num_pending(), a->age) < std::pair(b->num_pending(), b->age);
  });
  auto num_left = static_cast<int>(prefilling_.size());
  for (Sequence* sequence : prefilling_) {
    const int share = budget / num_left--;
    const bool was_preempted = sequence->blocks == nullptr;
    if (!was_preempted && share > 0) {
      budget -= give(*sequence, std::min(share, sequence->num_pending()));
    }
  }
}

int Scheduler::num_fitting(const Sequence& sequence, int count) const {
  const BlockTables& blocks = *sequence.blocks;
  const std::size_t full = blocks.full().size() + static_cast<std::size_t>(full_->num_free());
  const std::size_t sliding =
      blocks.sliding().size() + static_cast<std::size_t>(sliding_->num_free());
  const auto room = static_cast<int>(std::min(full, sliding)) * kernels::kBlockSize;
  return std::min(count, room - sequence.num_computed);
}

int Scheduler::give(Sequence& sequence, int count) {
  int fitting = num_fitting(sequence, count);
  while (fitting <= 0) {
    // The youngest waits, with what it has, until somebody ends or needs its blocks.
    if (running_.back().get() == &sequence) return 0;
    preempt_youngest();
    fitting = num_fitting(sequence, count);
  }
  BlockTables& blocks = *sequence.blocks;
  const int end = sequence.num_computed + fitting;
  cache_->make_room(blocks.missing_full(end), blocks.missing_sliding(end));
  blocks.grow(end);
  step_.push_back({&sequence, fitting, fitting == sequence.num_pending()});
  return fitting;
}

void Scheduler::preempt_youngest() {
  std::unique_ptr<Sequence> youngest = std::move(running_.back());
  running_.pop_back();
  std::erase_if(step_, [&](const ScheduledSequence& part) {
    return part.sequence == youngest.get();
  });
  release(*youngest);
  ++counters_.num_preemptions;
  waiting_.add_preempted(std::move(youngest));
}

void Scheduler::mark_computed(const ScheduledSequence& part) {
  Sequence& sequence = *part.sequence;
  const int begin = sequence.num_computed;
  sequence.num_computed += part.num_new_tokens;
  BlockTables& blocks = *sequence.blocks;
  const int num_filled = sequence.num_computed / kernels::kBlockSize;
  const bool fills = sequence.num_published < num_filled;
  for (; sequence.num_published < num_filled; ++sequence.num_published) {
    cache_->publish(sequence.tokens, static_cast<std::size_t>(sequence.num_published), blocks);
  }
  // Also those before, behind which there may be more to remember now.
  const auto& positions = sequence.snapshot_positions;
  const int after = fills ? begin - PrefixCache::kBlocksAhead * kernels::kBlockSize : begin;
  for (auto position = std::upper_bound(positions.begin(), positions.end(), after);
       position != positions.end() && *position <= sequence.num_computed;
       ++position) {
    cache_->snapshot(*position, blocks, sequence.num_published);
  }
  // From the start of its block: the sequence must be able to resume there.
  blocks.release_passed(block_start(sequence.num_computed));
}

void Scheduler::release(Sequence& sequence) {
  cache_->touch(sequence.blocks->full(), sequence.num_published);
  cache_->snapshot(block_start(sequence.num_computed), *sequence.blocks, sequence.num_published);
  sequence.blocks.reset();
  sequence.num_computed = 0;
  sequence.num_published = 0;
}

bool Scheduler::remove(SequenceId id) {
  const auto running = std::find_if(running_.begin(), running_.end(), [id](const auto& sequence) {
    return sequence->id == id;
  });
  if (running == running_.end()) return waiting_.remove(id) != nullptr;
  release(**running);
  running_.erase(running);
  return true;
}

}  // namespace gossamer::engine
