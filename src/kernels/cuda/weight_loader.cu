#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>

#include "base/thread_pool.h"
#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/pack_weights.cuh"
#include "kernels/cuda/weight_loader.cuh"
#include "kernels/cuda/weight_placement.h"

namespace gossamer::kernels::cuda {
namespace {

/// Where a piece is on its way: on the host for the device to fetch, and on the device unpacked.
struct Staging {
  std::unique_ptr<PinnedBuffer> host;
  std::unique_ptr<DeviceBuffer> device;
  Event passed;  // the piece before has left
};

/// One thread's way to the device.
class Courier {
 public:
  static Result<Courier> create(std::size_t staging_bytes) {
    Courier courier;
    courier.stream_ = make_stream();
    for (Staging& staging : courier.stagings_) {
      GOSSAMER_ASSIGN_OR_RETURN(staging.host, PinnedBuffer::allocate(staging_bytes));
      GOSSAMER_ASSIGN_OR_RETURN(staging.device, DeviceBuffer::allocate(staging_bytes));
      staging.passed = make_event();
    }
    return Result<Courier>(std::move(courier));
  }

  /// Copies a piece off the host; its way goes on when this has returned.
  void send(const WeightPiece& piece) {
    Staging& staging = stagings_[next_];
    next_ = (next_ + 1) % stagings_.size();
    check(cudaEventSynchronize(staging.passed.get()), "cudaEventSynchronize");
    std::byte* pinned = staging.host->data();
    std::memcpy(pinned, piece.bytes.data(), piece.bytes.size());
    if (!piece.scales.empty()) {
      std::memcpy(pinned + piece.bytes.size(), piece.scales.data(), piece.scales.size());
    }
    const bool packs = piece.layout != PieceLayout::kAsReleased;
    std::byte* arrival = packs ? staging.device->data() : piece.target;
    check(
        cudaMemcpyAsync(arrival, pinned, piece.size_bytes(), cudaMemcpyHostToDevice, stream_.get()),
        "cudaMemcpyAsync"
    );
    if (packs) pack(piece, arrival);
    check(cudaEventRecord(staging.passed.get(), stream_.get()), "cudaEventRecord");
  }

  void finish() { check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize"); }

 private:
  Courier() = default;

  void pack(const WeightPiece& piece, const std::byte* arrived) {
    if (piece.layout == PieceLayout::kPackedBf16) {
      launch_pack_bf16(
          {.rows = reinterpret_cast<const std::uint16_t*>(arrived),
           .packed = piece.target,
           .num_rows = piece.num_rows,
           .num_columns = piece.num_columns},
          stream_.get()
      );
      return;
    }
    launch_pack_fp4(
        {.blocks = reinterpret_cast<const std::uint8_t*>(arrived),
         .scales = reinterpret_cast<const std::uint8_t*>(arrived + piece.bytes.size()),
         .packed = piece.target,
         .num_rows = piece.num_rows,
         .num_columns = piece.num_columns},
        stream_.get()
    );
  }

  Stream stream_;
  std::array<Staging, 2> stagings_;
  std::size_t next_ = 0;
};

/// Bytes sent, told to the caller on its own thread, and the first failure of any.
class Journey {
 public:
  Journey(std::uint64_t total_bytes, const LoadProgress& progress)
      : total_bytes_(total_bytes), progress_(progress) {}

  bool failed() const { return failed_.load(std::memory_order_relaxed); }

  void sent(std::size_t size_bytes, int thread) {
    const std::uint64_t done = done_bytes_.fetch_add(size_bytes) + size_bytes;
    if (thread == 0 && progress_) progress_(done, total_bytes_);
  }

  void fail(std::exception_ptr reason) {
    const std::lock_guard lock(mutex_);
    if (!failed_.exchange(true)) reason_ = std::move(reason);
  }

  /// Throws what made it fail.
  void finish() const {
    if (reason_) std::rethrow_exception(reason_);
    if (progress_) progress_(total_bytes_, total_bytes_);
  }

 private:
  std::uint64_t total_bytes_;
  const LoadProgress& progress_;
  std::atomic<std::uint64_t> done_bytes_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr reason_;
};

std::uint64_t total_bytes(const std::vector<WeightPiece>& pieces) {
  return std::accumulate(
      pieces.begin(),
      pieces.end(),
      std::uint64_t{0},
      [](std::uint64_t sum, const WeightPiece& piece) { return sum + piece.size_bytes(); }
  );
}

std::size_t largest_bytes(const std::vector<WeightPiece>& pieces) {
  std::size_t largest = 0;
  for (const WeightPiece& piece : pieces) largest = std::max(largest, piece.size_bytes());
  return largest;
}

void send_all(
    const std::vector<WeightPiece>& pieces,
    std::vector<Courier>& couriers,
    const LoadProgress& progress
) {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  Journey journey(total_bytes(pieces), progress);
  ThreadPool pool(static_cast<int>(couriers.size()));
  pool.run(pieces.size(), [&](std::size_t index, int thread) {
    if (journey.failed()) return;
    try {
      check(cudaSetDevice(device), "cudaSetDevice");
      couriers[static_cast<std::size_t>(thread)].send(pieces[index]);
      journey.sent(pieces[index].size_bytes(), thread);
    } catch (...) {
      journey.fail(std::current_exception());
    }
  });
  for (Courier& courier : couriers) courier.finish();
  journey.finish();
}

}  // namespace

Result<ResidentWeights> load_weights(
    const Weights& host, const LoadProgress& progress, const WeightTransfer& transfer
) {
  GOSSAMER_ASSIGN_OR_RETURN(auto memory, DeviceBuffer::allocate(placed_bytes(host)));
  WeightPlacement placement = place_weights(host, memory->data(), transfer.piece_bytes);
  std::vector<Courier> couriers;
  for (int thread = 0; thread < std::min(transfer.num_threads, available_cores()); ++thread) {
    GOSSAMER_ASSIGN_OR_RETURN(auto courier, Courier::create(largest_bytes(placement.pieces)));
    couriers.push_back(std::move(courier));
  }
  send_all(placement.pieces, couriers, progress);
  ResidentWeights resident;
  resident.weights = std::move(placement.weights);
  resident.buffers.push_back(std::move(memory));
  return Result<ResidentWeights>(std::move(resident));
}

}  // namespace gossamer::kernels::cuda
