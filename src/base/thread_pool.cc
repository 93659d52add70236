#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "base/check.h"

namespace gossamer {
namespace {

// About 50 us: longer than the gap between two ops of a step, shorter than anyone notices as load.
constexpr int kSpinsBeforeSleep = 2000;

void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

struct ThreadPool::Shared {
  std::optional<TaskRef> task;
  std::size_t num_tasks = 0;
  std::atomic<std::size_t> next_task{0};
  std::atomic<int> busy_workers{0};
  std::atomic<std::uint64_t> generation{0};
  std::atomic<bool> stopping{false};
  // Sleeping workers wait here; `generation` only changes under the mutex.
  std::mutex mutex;
  std::condition_variable wake;
};

ThreadPool::ThreadPool(int num_threads) : shared_(std::make_unique<Shared>()) {
  GOSSAMER_CHECK(num_threads >= 1);
  workers_.reserve(static_cast<std::size_t>(num_threads) - 1);
  for (int thread = 1; thread < num_threads; ++thread) {
    workers_.emplace_back([this, thread] { work(thread, shared_->stopping); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
    ++shared_->generation;
  }
  shared_->wake.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(std::size_t num_tasks, TaskRef task) {
  if (workers_.empty() || num_tasks <= 1) {
    for (std::size_t i = 0; i < num_tasks; ++i) task(i, 0);
    return;
  }
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->task = task;
    shared_->num_tasks = num_tasks;
    shared_->next_task.store(0, std::memory_order_relaxed);
    shared_->busy_workers.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    shared_->generation.fetch_add(1, std::memory_order_release);
  }
  shared_->wake.notify_all();
  take_tasks(0);
  // Every worker checks in once a loop, so none can still hold this loop's task after we return.
  int spins = 0;
  while (shared_->busy_workers.load(std::memory_order_acquire) != 0) {
    if (++spins < kSpinsBeforeSleep) {
      spin_pause();
    } else {
      std::this_thread::yield();
    }
  }
}

void ThreadPool::take_tasks(int thread) {
  for (;;) {
    const std::size_t task = shared_->next_task.fetch_add(1, std::memory_order_relaxed);
    if (task >= shared_->num_tasks) return;
    (*shared_->task)(task, thread);
  }
}

void ThreadPool::work(int thread, const std::atomic<bool>& stopping) {
  std::uint64_t seen = 0;
  for (;;) {
    int spins = 0;
    while (shared_->generation.load(std::memory_order_acquire) == seen &&
           spins++ < kSpinsBeforeSleep) {
      spin_pause();
    }
    if (shared_->generation.load(std::memory_order_acquire) == seen) {
      std::unique_lock lock(shared_->mutex);
      shared_->wake.wait(lock, [&] { return shared_->generation.load() != seen; });
    }
    if (stopping) return;
    ++seen;  // exactly one: run() waits for every worker before the next loop
    take_tasks(thread);
    shared_->busy_workers.fetch_sub(1, std::memory_order_release);
  }
}

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace gossamer
