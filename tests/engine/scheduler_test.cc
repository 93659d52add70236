#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

namespace gossamer::engine {
namespace {

class SchedulerTest : public testing::Test {
 protected:
  std::unique_ptr<Sequence> sequence(SequenceId id, int prompt, int max_length) {
    auto sequence = std::make_unique<Sequence>();
    sequence->id = id;
    sequence->tokens.assign(static_cast<std::size_t>(prompt), static_cast<TokenId>(id));
    sequence->num_prompt_tokens = prompt;
    sequence->max_length = max_length;
    return sequence;
  }

  /// (id, new tokens, wants logits) of the next step, which is then taken as computed; sequences
  /// that gave logits get a token.
  std::vector<std::tuple<SequenceId, int, bool>> step() {
    std::vector<std::tuple<SequenceId, int, bool>> parts;
    for (const ScheduledSequence& part : scheduler_.schedule()) {
      parts.emplace_back(part.sequence->id, part.num_new_tokens, part.wants_logits);
      scheduler_.mark_computed(part);
      if (part.wants_logits) part.sequence->tokens.push_back(0);
    }
    return parts;
  }

  using Step = std::vector<std::tuple<SequenceId, int, bool>>;
  BlockPool full_{20};
  BlockPool sliding_{20};
  PrefixCache cache_{full_, sliding_, 32, PrefixCache::Mode::kEnabled};
  Scheduler scheduler_{
      {.max_batch_tokens = 16, .max_sequences = 2, .sliding_window = 32}, full_, sliding_, cache_};
};

TEST_F(SchedulerTest, CopiesTheBeginningOfABlockThatASequenceShares) {
  const auto prompt = [this](SequenceId id, int common) {
    auto next = sequence(id, 40, 50);
    std::fill_n(next->tokens.begin(), common, TokenId{7});
    next->snapshot_positions = {16};
    return next;
  };
  scheduler_.add(prompt(1, 40));
  step();
  EXPECT_EQ(step(), (Step{{1, 16, false}}));
  EXPECT_TRUE(scheduler_.remove(1));
  scheduler_.add(prompt(2, 21));
  const auto& parts = scheduler_.schedule();
  ASSERT_EQ(parts.size(), 1U);
  const Sequence& second = *parts[0].sequence;
  EXPECT_EQ(second.num_cached_tokens, 21);
  EXPECT_EQ(parts[0].num_new_tokens, 16);
  ASSERT_EQ(scheduler_.copies().size(), 1U);
  const BlockCopy copy = scheduler_.copies()[0];
  EXPECT_EQ(copy.to.full, second.blocks->full()[1]);
  EXPECT_EQ(copy.to.sliding, second.blocks->sliding()[1]);
  EXPECT_NE(copy.from.full, copy.to.full);
  EXPECT_NE(copy.from.sliding, copy.to.sliding);
  scheduler_.mark_computed(parts[0]);
  step();
  EXPECT_TRUE(scheduler_.copies().empty());
}

TEST_F(SchedulerTest, CutsALongPromptIntoChunksAndAsksLogitsOfTheLast) {
  scheduler_.add(sequence(1, 40, 50));
  EXPECT_EQ(step(), (Step{{1, 16, false}}));
  EXPECT_EQ(step(), (Step{{1, 16, false}}));
  EXPECT_EQ(step(), (Step{{1, 8, true}}));
  EXPECT_EQ(step(), (Step{{1, 1, true}}));
}

TEST_F(SchedulerTest, DecodesFirstAndFillsTheStepWithPrefill) {
  scheduler_.add(sequence(1, 4, 50));
  EXPECT_EQ(step(), (Step{{1, 4, true}}));
  scheduler_.add(sequence(2, 40, 50));
  EXPECT_EQ(step(), (Step{{1, 1, true}, {2, 15, false}}));
  EXPECT_EQ(step(), (Step{{1, 1, true}, {2, 15, false}}));
  EXPECT_EQ(step(), (Step{{1, 1, true}, {2, 10, true}}));
}

TEST_F(SchedulerTest, KeepsToTheNumberOfSequences) {
  for (SequenceId id = 1; id <= 3; ++id) scheduler_.add(sequence(id, 1, 10));
  EXPECT_EQ(step(), (Step{{1, 1, true}, {2, 1, true}}));
  EXPECT_TRUE(scheduler_.remove(1));
  EXPECT_EQ(step(), (Step{{2, 1, true}, {3, 1, true}}));
}

TEST_F(SchedulerTest, PromptsShareTheStepAndShortOnesPassTheirRestOn) {
  scheduler_.add(sequence(1, 100, 110));
  EXPECT_EQ(step(), (Step{{1, 16, false}}));
  scheduler_.add(sequence(2, 5, 10));
  EXPECT_EQ(step(), (Step{{2, 5, true}, {1, 11, false}}));
  EXPECT_TRUE(scheduler_.remove(2));
  scheduler_.add(sequence(3, 50, 60));
  EXPECT_EQ(step(), (Step{{3, 8, false}, {1, 8, false}}));
}

TEST_F(SchedulerTest, AdmitsByTheTokensThereAreAndNotByThoseToCome) {
  scheduler_.add(sequence(1, 10, 16 * 15));
  scheduler_.add(sequence(2, 1, 16 * 15));  // together they may come to need 30 blocks
  EXPECT_EQ(step(), (Step{{2, 1, true}, {1, 10, true}}));
}

TEST_F(SchedulerTest, WaitsForThePromptsBlocks) {
  scheduler_.add(sequence(1, 16 * 15, 16 * 16));
  scheduler_.add(sequence(2, 16 * 6, 16 * 7));
  EXPECT_EQ(step(), (Step{{1, 16, false}}));
  EXPECT_EQ(scheduler_.num_waiting(), 1);
  EXPECT_TRUE(scheduler_.remove(1));
  EXPECT_EQ(full_.num_free(), 20);
  EXPECT_EQ(step(), (Step{{2, 16, false}}));
}

TEST_F(SchedulerTest, TheYoungestGivesItsBlocksUpAndGoesOnWhereItWas) {
  scheduler_.add(sequence(1, 16, 16 * 15));
  scheduler_.add(sequence(2, 10, 16 * 15));
  while (scheduler_.counters().num_preemptions == 0) {
    ASSERT_FALSE(step().empty());
    ASSERT_FALSE(scheduler_.idle());
  }
  // 10 blocks each, and the older needed one more.
  EXPECT_EQ(scheduler_.num_running(), 1);
  EXPECT_EQ(scheduler_.num_waiting(), 1);
  EXPECT_TRUE(scheduler_.remove(1));
  // All but its last blocks were still in the cache.
  const Step resumed = step();
  ASSERT_EQ(resumed.size(), 1U);
  EXPECT_EQ(std::get<0>(resumed[0]), 2U);
  EXPECT_LE(std::get<1>(resumed[0]), 16);
  EXPECT_TRUE(std::get<2>(resumed[0]));
}

TEST_F(SchedulerTest, ALaterPromptResumesWhereTheEarlierEnded) {
  scheduler_.add(sequence(7, 40, 41));
  for (int i = 0; i < 3; ++i) step();
  EXPECT_TRUE(scheduler_.remove(7));
  auto again = sequence(7, 60, 70);
  scheduler_.add(std::move(again));
  EXPECT_EQ(step(), (Step{{7, 16, false}}));
  EXPECT_EQ(scheduler_.counters().num_cached_tokens, 32U);
  EXPECT_EQ(step(), (Step{{7, 12, true}}));
}

TEST_F(SchedulerTest, WhatACancelledPromptComputedIsReused) {
  scheduler_.add(sequence(7, 200, 210));
  step();
  step();
  EXPECT_TRUE(scheduler_.remove(7));
  scheduler_.add(sequence(7, 200, 210));
  step();
  EXPECT_EQ(scheduler_.counters().num_cached_tokens, 32U);
}

TEST_F(SchedulerTest, RemovesWaitingAndRunningAndReportsUnknown) {
  scheduler_.add(sequence(1, 1, 10));
  EXPECT_TRUE(scheduler_.remove(1));
  EXPECT_FALSE(scheduler_.remove(1));
  EXPECT_TRUE(scheduler_.idle());
  EXPECT_TRUE(scheduler_.schedule().empty());
}

}  // namespace
}  // namespace gossamer::engine
