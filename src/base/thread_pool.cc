#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

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

// The state of a pool, in one word: how many workers are inside the loop, whether more may come in,
// and which loop it is.
constexpr std::uint64_t kWorkers = 0xFFFF;
constexpr std::uint64_t kOpen = 0x10000;
constexpr std::uint64_t kLoop = 0x20000;

constexpr std::uint64_t loop_of(std::uint64_t state) {
  return state / kLoop;
}

/// Tasks that one thread begins with. On cache lines of its own.
struct alignas(64) Range {
  std::atomic<std::size_t> next{0};
  std::size_t end = 0;

  /// The next task, or nothing. Looks before it takes: others come by when they have no more.
  std::optional<std::size_t> take() {
    if (next.load(std::memory_order_relaxed) >= end) return std::nullopt;
    const std::size_t task = next.fetch_add(1, std::memory_order_relaxed);
    return task < end ? std::optional(task) : std::nullopt;
  }
};

}  // namespace

struct ThreadPool::Shared {
  explicit Shared(int num_threads) : ranges(static_cast<std::size_t>(num_threads)) {}

  // Written while no worker is inside, read by those inside only.
  std::optional<TaskRef> task;
  std::vector<Range> ranges;  // one a thread
  std::atomic<std::uint64_t> state{0};
  std::atomic<bool> stopping{false};
  std::exception_ptr failure;  // the loop's first; under the mutex until the loop is over
  // Sleeping workers wait here; a new loop begins under the mutex only.
  std::mutex mutex;
  std::condition_variable wake;

  /// Cuts a loop's tasks into one range for each thread.
  void deal(std::size_t num_tasks) {
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      ranges[i].next.store(num_tasks * i / ranges.size(), std::memory_order_relaxed);
      ranges[i].end = num_tasks * (i + 1) / ranges.size();
    }
  }

  void begin_loop() {
    {
      const std::lock_guard lock(mutex);
      state.store((loop_of(state.load()) + 1) * kLoop + kOpen, std::memory_order_release);
    }
    wake.notify_all();
  }

  /// Waits for another loop than `seen`, which becomes that one.
  void await_loop(std::uint64_t& seen) {
    int spins = 0;
    while (loop_of(state.load(std::memory_order_acquire)) == seen && spins++ < kSpinsBeforeSleep) {
      spin_pause();
    }
    if (loop_of(state.load(std::memory_order_acquire)) == seen) {
      std::unique_lock lock(mutex);
      wake.wait(lock, [&] { return loop_of(state.load()) != seen; });
    }
    seen = loop_of(state.load(std::memory_order_acquire));
  }

  /// False when the loop is over, or another one is under way.
  bool enter(std::uint64_t loop) {
    std::uint64_t now = state.load(std::memory_order_acquire);
    while (loop_of(now) == loop && (now & kOpen) != 0) {
      if (state.compare_exchange_weak(now, now + 1, std::memory_order_acquire)) return true;
    }
    return false;
  }

  /// Notes what a task has thrown, and hands out no more.
  void fail(std::exception_ptr thrown) {
    for (Range& range : ranges) range.next.store(range.end, std::memory_order_relaxed);
    const std::lock_guard lock(mutex);
    if (failure == nullptr) failure = std::move(thrown);
  }

  void leave() { state.fetch_sub(1, std::memory_order_release); }

  /// Lets nobody in any more, and waits for those inside.
  void close() {
    state.fetch_and(~kOpen, std::memory_order_acquire);
    int spins = 0;
    while ((state.load(std::memory_order_acquire) & kWorkers) != 0) {
      if (++spins < kSpinsBeforeSleep) {
        spin_pause();
      } else {
        std::this_thread::yield();
      }
    }
  }
};

ThreadPool::ThreadPool(int num_threads) : shared_(std::make_unique<Shared>(num_threads)) {
  GOSSAMER_CHECK(num_threads >= 1 && static_cast<std::uint64_t>(num_threads) <= kWorkers);
  workers_.reserve(static_cast<std::size_t>(num_threads) - 1);
  for (int thread = 1; thread < num_threads; ++thread) {
    workers_.emplace_back([this, thread] { work(thread); });
  }
}

ThreadPool::~ThreadPool() {
  shared_->stopping = true;
  shared_->begin_loop();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(std::size_t num_tasks, TaskRef task) {
  if (workers_.empty() || num_tasks <= 1) {
    for (std::size_t i = 0; i < num_tasks; ++i) task(i, 0);
    return;
  }
  shared_->task = task;
  shared_->deal(num_tasks);
  shared_->begin_loop();
  take_tasks(0);
  // Every task is taken. A worker that has not come by now, because another program has its core,
  // is not waited for.
  shared_->close();
  if (shared_->failure != nullptr) {
    std::rethrow_exception(std::exchange(shared_->failure, nullptr));
  }
}

void ThreadPool::take_tasks(int thread) {
  const std::size_t count = shared_->ranges.size();
  try {
    for (std::size_t i = 0; i < count; ++i) {
      Range& range = shared_->ranges[(static_cast<std::size_t>(thread) + i) % count];
      while (const auto task = range.take()) (*shared_->task)(*task, thread);
    }
  } catch (...) {
    shared_->fail(std::current_exception());
  }
}

void ThreadPool::work(int thread) {
  std::uint64_t seen = 0;
  for (;;) {
    shared_->await_loop(seen);
    if (shared_->stopping) return;
    if (!shared_->enter(seen)) continue;
    take_tasks(thread);
    shared_->leave();
  }
}

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace gossamer
