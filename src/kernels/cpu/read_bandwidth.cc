#include "kernels/cpu/read_bandwidth.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "base/stopwatch.h"
#include "tensor/buffer.h"

namespace gossamer::kernels::cpu {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{1} << 20U;

/// Reads a chunk; the sum keeps the compiler from leaving the loads out.
std::uint64_t sum_words(const std::byte* chunk) {
  std::uint64_t sums[8] = {};
  for (std::size_t offset = 0; offset < kChunkBytes; offset += sizeof(sums)) {
    std::uint64_t words[8];
    std::memcpy(words, chunk + offset, sizeof(words));
    for (std::size_t i = 0; i < 8; ++i) sums[i] += words[i];
  }
  return sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
}

}  // namespace

Result<double> measure_read_bandwidth(ThreadPool& pool, std::size_t size_bytes, int passes) {
  const std::size_t num_chunks = std::max<std::size_t>(size_bytes / kChunkBytes, 1);
  GOSSAMER_ASSIGN_OR_RETURN(
      const auto buffer, tensor::HostBuffer::allocate(num_chunks * kChunkBytes)
  );
  // Written first: pages never written all read the same page of zeros.
  pool.run(num_chunks, [&](std::size_t chunk, int) {
    std::memset(buffer->data() + chunk * kChunkBytes, static_cast<int>(chunk % 251), kChunkBytes);
  });
  std::atomic<std::uint64_t> total{0};
  double best = 0;
  for (int pass = 0; pass < passes; ++pass) {
    const Stopwatch pass_time;
    pool.run(num_chunks, [&](std::size_t chunk, int) {
      total.fetch_add(sum_words(buffer->data() + chunk * kChunkBytes), std::memory_order_relaxed);
    });
    best = std::max(best, static_cast<double>(num_chunks * kChunkBytes) / pass_time.seconds());
  }
  GOSSAMER_CHECK(total.load() != 1);  // uses the sum
  return best;
}

}  // namespace gossamer::kernels::cpu
