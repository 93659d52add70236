#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace gossamer {

/// Borrowed callable `void(std::size_t task, int thread)`: a std::function without the allocation,
/// valid only while the callable it was made from lives.
class TaskRef {
 public:
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, TaskRef>>>
  TaskRef(F&& f)  // NOLINT(google-explicit-constructor): made to be passed a lambda
      : object_(const_cast<void*>(static_cast<const void*>(&f))),  // NOLINT
        call_([](void* object, std::size_t task, int thread) {
          (*static_cast<std::remove_reference_t<F>*>(object))(task, thread);
        }) {}

  void operator()(std::size_t task, int thread) const { call_(object_, task, thread); }

 private:
  void* object_;
  void (*call_)(void*, std::size_t, int);
};

/// A fixed set of threads for data-parallel loops. The caller's thread works too, so a pool of one
/// has no threads of its own. Workers spin briefly between loops, then sleep; a loop does without
/// those that another program keeps from running. Allocates nothing after construction.
///
/// `run` may be called from one thread at a time, and not from inside a task.
class ThreadPool {
 public:
  /// num_threads counts the caller's thread; at least 1.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls `task(i, thread)` once for every i in [0, num_tasks), with thread in [0, num_threads()),
  /// and returns when all are done. Each thread begins with an even share of consecutive tasks,
  /// always the same for as many tasks, so that loops over the same data find it in their core's
  /// cache; who is done takes others' tasks, one at a time. After one has thrown, no other begins;
  /// the first exception is thrown to the caller when all have ended.
  void run(std::size_t num_tasks, TaskRef task);

 private:
  void work(int thread);
  void take_tasks(int thread);

  struct Shared;
  std::unique_ptr<Shared> shared_;
  std::vector<std::thread> workers_;
};

/// The number of threads that a CPU-bound loop should use here: the cores this process may run on.
int available_cores();

}  // namespace gossamer
