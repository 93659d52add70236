#include "engine/waiting_queue.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace gossamer::engine {

void WaitingQueue::add(std::unique_ptr<Sequence> sequence) {
  ++size_;
  auto place = std::find_if(users_.begin(), users_.end(), [&](const UserLine& line) {
    return line.user == sequence->user;
  });
  if (place == users_.end()) {
    users_.push_back({sequence->user, {}});
    place = std::prev(users_.end());
  }
  place->line.push_back(std::move(sequence));
}

void WaitingQueue::add_preempted(std::unique_ptr<Sequence> sequence) {
  ++size_;
  const auto place = std::upper_bound(
      preempted_.begin(),
      preempted_.end(),
      sequence->age,
      [](std::uint64_t age, const auto& other) { return age < other->age; }
  );
  preempted_.insert(place, std::move(sequence));
}

WaitingQueue::Line& WaitingQueue::next_line() {
  GOSSAMER_CHECK(!empty());
  return preempted_.empty() ? users_.front().line : preempted_;
}

Sequence& WaitingQueue::next() {
  return *next_line().front();
}

std::unique_ptr<Sequence> WaitingQueue::take_next() {
  const bool takes_turn = preempted_.empty();
  Line& line = next_line();
  std::unique_ptr<Sequence> sequence = std::move(line.front());
  line.pop_front();
  --size_;
  if (takes_turn) {
    UserLine user = std::move(users_.front());
    users_.pop_front();
    if (!user.line.empty()) users_.push_back(std::move(user));
  }
  return sequence;
}

std::unique_ptr<Sequence> WaitingQueue::remove(SequenceId id) {
  const auto take_from = [&](Line& line) -> std::unique_ptr<Sequence> {
    const auto place = std::find_if(line.begin(), line.end(), [id](const auto& sequence) {
      return sequence->id == id;
    });
    if (place == line.end()) return nullptr;
    std::unique_ptr<Sequence> sequence = std::move(*place);
    line.erase(place);
    --size_;
    return sequence;
  };
  if (auto sequence = take_from(preempted_)) return sequence;
  for (auto user = users_.begin(); user != users_.end(); ++user) {
    auto sequence = take_from(user->line);
    if (!sequence) continue;
    if (user->line.empty()) users_.erase(user);
    return sequence;
  }
  return nullptr;
}

}  // namespace gossamer::engine
