#pragma once

#include <deque>
#include <memory>
#include <string>

#include "engine/sequence.h"

namespace gossamer::engine {

/// Sequences that wait for blocks. Users take turns, and each user's sequences go in order of
/// arrival; those that were preempted go before all others, the oldest first. Engine thread only.
class WaitingQueue {
 public:
  void add(std::unique_ptr<Sequence> sequence);
  void add_preempted(std::unique_ptr<Sequence> sequence);

  /// Whose turn it is. Must not be empty.
  Sequence& next();
  /// Takes it out, and gives the turn to the next user.
  std::unique_ptr<Sequence> take_next();

  /// Takes out the sequence of an id; null when it is not here.
  std::unique_ptr<Sequence> remove(SequenceId id);

  bool empty() const { return size_ == 0; }
  int size() const { return size_; }

 private:
  using Line = std::deque<std::unique_ptr<Sequence>>;
  struct UserLine {
    std::string user;
    Line line;  // never empty
  };
  Line& next_line();

  Line preempted_;              // by age
  std::deque<UserLine> users_;  // in order of their turns
  int size_ = 0;
};

}  // namespace gossamer::engine
