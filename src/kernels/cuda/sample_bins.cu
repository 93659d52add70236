// Counts and weighs the tokens of selections by their distance to the largest logit, and finds the
// bins in which the edges of top_k, top_p and num_top lie. The blocks (., s) share the chunks of
// selection s, and the last of them looks for the edge. Bound by memory where rows are many, by
// latency and shared memory's atomics where they are few.

#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/sample_selection.cuh"

namespace gossamer::kernels::cuda {
namespace {

struct CountedBins {
  SharedBins weights;
  std::uint32_t counts[kSampleBins];
};

__device__ void fill_bins(const SelectionView& selection, CountedBins& bins) {
  bins.weights.clear();
  for (int bin = thread_index(); bin < kSampleBins; bin += kSampleThreads) bins.counts[bin] = 0;
  __syncthreads();
  const Measure measure(selection);
  const int num_chunks = selection.num_chunks();
  for (auto c = static_cast<int>(blockIdx.x); c < num_chunks; c += static_cast<int>(gridDim.x)) {
    float logits[kSampleItems];
    selection.load(c, logits);
#pragma unroll
    for (int k = 0; k < kSampleItems; ++k) {
      const int bin = measure.bin(logits[k], first_token(c) + k);
      if (bin == kSampleBins) continue;
      atomicAdd(&bins.counts[bin], 1U);
      if (selection.top_p() < 1.0) bins.weights.add(bin, measure.weight(logits[k]));
    }
  }
  __syncthreads();
}

__device__ void add_to_row(const SelectionView& selection, const CountedBins& bins) {
  for (int bin = thread_index(); bin < kSampleBins; bin += kSampleThreads) {
    if (bins.counts[bin] == 0) continue;
    atomicAdd(selection.bin_counts() + bin, bins.counts[bin]);
    const Weight weight = bins.weights.mass(bin);
    if (weight != 0) atomicAdd(selection.bin_weights() + bin, weight);
  }
}

/// What comes before each of a thread's bins, and after the last.
struct RunningBins {
  std::uint32_t counts[kSampleItems + 1];
  Weight weights[kSampleItems + 1];
  std::uint32_t num_tokens;  // in all bins
  Weight total_weight;
};

__device__ RunningBins run_over_bins(const SelectionView& selection) {
  const int first = thread_index() * kSampleItems;
  RunningBins running{};
#pragma unroll
  for (int k = 0; k < kSampleItems; ++k) {
    running.counts[k + 1] = running.counts[k] + __ldcg(selection.bin_counts() + first + k);
    running.weights[k + 1] = running.weights[k] + __ldcg(selection.bin_weights() + first + k);
  }
  const auto counts = block_scan(running.counts[kSampleItems]);
  const auto weights = block_scan(running.weights[kSampleItems]);
#pragma unroll
  for (int k = 0; k <= kSampleItems; ++k) {
    running.counts[k] += counts.before;
    running.weights[k] += weights.before;
  }
  running.num_tokens = counts.total;
  running.total_weight = weights.total;
  return running;
}

/// A bin, and what comes before it.
struct Edge {
  int bin;
  std::uint32_t count;
  Weight weight;
};

/// The bin that is_edge(k) says is one, for one thread's k-th bin; kSampleBins if none is.
template <class IsEdge>
__device__ Edge find_bin(const RunningBins& running, const IsEdge& is_edge) {
  __shared__ Edge edge;
  if (threadIdx.x == 0) edge = {kSampleBins, 0, 0};
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kSampleItems; ++k) {
    if (!is_edge(k)) continue;
    edge = {thread_index() * kSampleItems + k, running.counts[k], running.weights[k]};
  }
  __syncthreads();
  const Edge found = edge;
  __syncthreads();
  return found;
}

/// top_k's edge is in the bin of the k-th token. top_p's is where weights reach p of those that
/// top_k leaves. These are known but for the bin of the k-th token, so it may be from where they
/// reach p of what comes before that bin.
__device__ void find_cut(const SelectionView& selection) {
  const RunningBins running = run_over_bins(selection);
  const std::uint32_t limit = selection.limit();
  const bool counts_tokens = limit > 0 && limit < running.num_tokens;
  Edge first{kSampleBins, 0, 0};
  int last_bin = selection.is_choice ? -1 : kSampleBins - 1;
  if (counts_tokens) {
    first = find_bin(running, [&](int k) {
      return running.counts[k] < limit && limit <= running.counts[k + 1];
    });
    last_bin = first.bin;
  }
  SelectionCut& cut = selection.cut();
  const Weight total_weight = limit > 0 ? running.total_weight : cut.total_weight;
  if (selection.top_p() < 1.0) {
    const Weight surely_left = counts_tokens ? first.weight : total_weight;
    const double target = selection.top_p() * static_cast<double>(surely_left);
    const auto reaches = [&](Weight weight) { return static_cast<double>(weight) >= target; };
    first = find_bin(running, [&](int k) {
      const bool is_first = threadIdx.x == 0 && k == 0;
      return reaches(running.weights[k + 1]) && (is_first || !reaches(running.weights[k]));
    });
    if (!counts_tokens && first.bin < kSampleBins) last_bin = first.bin;
  }
  if (threadIdx.x != 0) return;
  cut.total_weight = total_weight;
  cut.count_above = first.count;
  cut.weight_above = first.weight;
  cut.first_bin = first.bin;
  cut.last_bin = last_bin;
  cut.counts_tokens = counts_tokens ? 1 : 0;
  cut.blocks_done = 0;  // list_kernel counts them again
}

__global__ void __launch_bounds__(kSampleThreads, kSampleBlocks)
    bins_kernel(const __grid_constant__ SampleKernelArgs args) {
  __shared__ CountedBins bins;
  const SelectionView selection(args, static_cast<int>(blockIdx.y));
  if (!selection.has_bins()) return;
  fill_bins(selection, bins);
  add_to_row(selection, bins);
  if (is_last_block(selection.cut().blocks_done, gridDim.x)) find_cut(selection);
}

}  // namespace

void launch_sample_bins(const SampleKernelArgs& args, cudaStream_t stream) {
  const dim3 grid(
      blocks_of_row(args.vocab_size, args.num_selections),
      static_cast<unsigned>(args.num_selections)
  );
  bins_kernel<<<grid, kSampleThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "bins_kernel");
}

}  // namespace gossamer::kernels::cuda
