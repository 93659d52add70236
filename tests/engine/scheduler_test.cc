#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <memory>

namespace gossamer::engine {
namespace {

class SchedulerTest : public testing::Test {
 protected:
  std::unique_ptr<Sequence> sequence(SequenceId id, int prompt, int max_length) {
    auto sequence = std::make_unique<Sequence>();
    sequence->id = id;
    sequence->tokens.resize(static_cast<std::size_t>(prompt));
    sequence->max_length = max_length;
    return sequence;
  }

  /// (id, new tokens, wants logits) of the next step, which is then taken as computed; sequences
  /// that gave logits get a token.
  std::vector<std::tuple<SequenceId, int, bool>> step() {
    std::vector<std::tuple<SequenceId, int, bool>> parts;
    for (const ScheduledSequence& part : scheduler_.schedule()) {
      parts.emplace_back(part.sequence->id, part.num_new_tokens, part.wants_logits);
      part.sequence->num_computed += part.num_new_tokens;
      if (part.wants_logits) part.sequence->tokens.push_back(0);
    }
    return parts;
  }

  using Step = std::vector<std::tuple<SequenceId, int, bool>>;
  BlockPool full_{20};
  BlockPool sliding_{20};
  Scheduler scheduler_{
      {.max_batch_tokens = 16, .max_sequences = 2, .sliding_window = 32}, full_, sliding_};
};

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

TEST_F(SchedulerTest, AdmitsOnlyWhatCanRunToItsEnd) {
  scheduler_.add(sequence(1, 1, 16 * 15));
  scheduler_.add(sequence(2, 1, 16 * 6));  // 15 + 6 blocks are more than 20
  EXPECT_EQ(step(), (Step{{1, 1, true}}));
  EXPECT_TRUE(scheduler_.remove(1));
  EXPECT_EQ(full_.num_free(), 20);
  EXPECT_EQ(step(), (Step{{2, 1, true}}));
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
