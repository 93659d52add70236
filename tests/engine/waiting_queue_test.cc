#include "engine/waiting_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace gossamer::engine {
namespace {

using testing::ElementsAre;

std::unique_ptr<Sequence> sequence(SequenceId id, const std::string& user) {
  auto sequence = std::make_unique<Sequence>();
  sequence->id = id;
  sequence->user = user;
  return sequence;
}

std::unique_ptr<Sequence> preempted(SequenceId id, std::uint64_t age) {
  auto sequence = std::make_unique<Sequence>();
  sequence->id = id;
  sequence->age = age;
  return sequence;
}

std::vector<SequenceId> take_all(WaitingQueue& queue) {
  std::vector<SequenceId> ids;
  while (!queue.empty()) {
    const SequenceId id = queue.next().id;
    EXPECT_EQ(queue.take_next()->id, id);
    ids.push_back(id);
  }
  return ids;
}

TEST(WaitingQueueTest, UsersTakeTurnsAndEachKeepsItsOrder) {
  WaitingQueue queue;
  for (SequenceId id = 1; id <= 4; ++id) queue.add(sequence(id, "many"));
  queue.add(sequence(5, "few"));
  queue.add(sequence(6, "few"));
  queue.add(sequence(7, "one"));
  EXPECT_EQ(queue.size(), 7);
  EXPECT_THAT(take_all(queue), ElementsAre(1, 5, 7, 2, 6, 3, 4));
}

TEST(WaitingQueueTest, AUserWhoComesBackWaitsForTheOthersTurns) {
  WaitingQueue queue;
  queue.add(sequence(1, "a"));
  queue.add(sequence(2, "b"));
  queue.add(sequence(3, "b"));
  EXPECT_EQ(queue.take_next()->id, 1U);
  queue.add(sequence(4, "a"));
  EXPECT_THAT(take_all(queue), ElementsAre(2, 4, 3));
}

TEST(WaitingQueueTest, ThePreemptedGoFirstTheOldestBeforeAll) {
  WaitingQueue queue;
  queue.add(sequence(1, "a"));
  queue.add_preempted(preempted(3, 9));
  queue.add_preempted(preempted(2, 4));
  EXPECT_THAT(take_all(queue), ElementsAre(2, 3, 1));
}

TEST(WaitingQueueTest, RemovesWhereverASequenceWaits) {
  WaitingQueue queue;
  for (SequenceId id = 1; id <= 3; ++id) queue.add(sequence(id, id == 2 ? "b" : "a"));
  queue.add_preempted(preempted(4, 1));
  EXPECT_EQ(queue.remove(9), nullptr);
  EXPECT_EQ(queue.remove(2)->id, 2U);
  EXPECT_EQ(queue.remove(4)->id, 4U);
  EXPECT_EQ(queue.remove(1)->id, 1U);
  EXPECT_THAT(take_all(queue), ElementsAre(3));
}

}  // namespace
}  // namespace gossamer::engine
