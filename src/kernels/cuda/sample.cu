// Sampling as a sequence of kernels: statistics of chunks; where tokens are selected, bins of them,
// and lists of those at the edge. The last block of a row that is done with a kernel draws the
// row's conclusions. Nothing is waited for on the host, and nothing depends on the order in which
// blocks run: what they add up together are whole numbers.

#include <algorithm>

#include "base/check.h"
#include "kernels/cuda/sample.cuh"
#include "kernels/cuda/sample_selection.cuh"

namespace gossamer::kernels::cuda {
namespace {

constexpr std::size_t kAlignment = 256;

/// Hands out memory from `next` on; from nothing, to learn how much it takes.
class Placer {
 public:
  explicit Placer(std::byte* memory) : memory_(memory) {}

  template <class T>
  T* place(std::size_t count) {
    T* const placed = reinterpret_cast<T*>(memory_ + size_);
    size_ += (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return placed;
  }
  std::size_t size() const { return size_; }

 private:
  std::byte* memory_;
  std::size_t size_ = 0;
};

SampleScratch place_scratch(Placer& placer, int max_rows, int vocab_size) {
  const auto rows = static_cast<std::size_t>(max_rows);
  const std::size_t selections = 2 * rows;
  const auto chunks = static_cast<std::size_t>(sample_chunks(vocab_size));
  return {
      .blocks_done = placer.place<std::uint32_t>(rows),
      .chunk_stats = placer.place<ChunkStats>(rows * chunks),
      .summaries = placer.place<RowSummary>(rows),
      .cuts = placer.place<SelectionCut>(selections),
      .bin_counts = placer.place<std::uint32_t>(selections * kSampleBins),
      .bin_weights = placer.place<unsigned long long>(selections * kSampleBins),
      .kept_weights = placer.place<unsigned long long>(selections * chunks),
      .listed_tokens = placer.place<unsigned long long>(selections * kMaxListed),
  };
}

}  // namespace

std::size_t sample_scratch_bytes(int max_rows, int vocab_size) {
  Placer placer(nullptr);
  place_scratch(placer, max_rows, vocab_size);
  return placer.size();
}

SampleScratch place_sample_scratch(std::byte* memory, int max_rows, int vocab_size) {
  Placer placer(memory);
  return place_scratch(placer, max_rows, vocab_size);
}

unsigned blocks_of_row(int vocab_size, int count) {
  constexpr int kBlocksAtOnce = 1024;
  const int num_chunks = sample_chunks(vocab_size);
  const int wanted = std::max(kBlocksAtOnce / count, 1);
  const int chunks_of_block = (num_chunks + wanted - 1) / wanted;
  return static_cast<unsigned>((num_chunks + chunks_of_block - 1) / chunks_of_block);
}

void launch_sample(const SampleKernelArgs& args, cudaStream_t stream) {
  GOSSAMER_CHECK(0 < args.vocab_size && args.vocab_size <= kMaxSampleVocab);
  if (args.num_rows == 0) return;
  launch_sample_statistics(args, stream);
  if (args.has_bins) launch_sample_bins(args, stream);
  if (args.num_selections > 0) launch_sample_list(args, stream);
}

}  // namespace gossamer::kernels::cuda
