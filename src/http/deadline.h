#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>

namespace gossamer::http {

/// Calls a function when something takes too long. To arm and disarm it costs next to nothing, as
/// for every part of a stream: the timer is left to run, and looks when it ends whether it was
/// late. On one strand.
class Deadline {
 public:
  Deadline(const boost::asio::any_io_executor& executor, std::function<void()> expired);
  /// Nothing is called afterwards.
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void arm(std::chrono::steady_clock::duration patience);
  void disarm();

 private:
  struct State;
  static void wait(const std::shared_ptr<State>& state);

  const std::shared_ptr<State> state_;
};

}  // namespace gossamer::http
