// What each chunk of a row adds up to (ChunkStats): largest logit, its token, sums of exponentials.
// The blocks (., r) share the chunks of row r, and the last of them sums up the row: where all
// tokens may come it chooses one, reading only the chunk that the row's number falls in again.
// Bound by memory where rows are many; few rows are bound by latency, and one row has a block a
// chunk.

#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/sample_draw.cuh"
#include "kernels/cuda/sample_selection.cuh"

namespace gossamer::kernels::cuda {
namespace {

// --- chunks ---

/// Empties what the kernels that follow add to. The blocks of a row share the work.
__device__ void clear_bins(const SampleScratch& scratch, int selection) {
  if (selection < 0) return;
  const std::int64_t first = std::int64_t{selection} * kSampleBins;
  const auto begin = static_cast<int>(blockIdx.x * kSampleThreads + threadIdx.x);
  for (int bin = begin; bin < kSampleBins; bin += static_cast<int>(gridDim.x * kSampleThreads)) {
    scratch.bin_counts[first + bin] = 0;
    scratch.bin_weights[first + bin] = 0;
  }
}

/// Minus infinity where there is no number.
__device__ float largest_of(const float (&logits)[kSampleItems]) {
  float largest = -INFINITY;
#pragma unroll
  for (const float logit : logits) largest = fmaxf(largest, logit);
  return block_reduce(largest, Larger{});
}

/// The lowest token of a chunk that has this logit, the chunk's first if none has.
__device__ TokenId
lowest_token(const float (&logits)[kSampleItems], float logit, int chunk, int vocab_size) {
  int token = vocab_size;
#pragma unroll
  for (int k = kSampleItems - 1; k >= 0; --k) {
    if (logits[k] == logit) token = first_token(chunk) + k;
  }
  token = block_reduce(token, Smaller{});
  return static_cast<TokenId>(token < vocab_size ? token : chunk * kSampleChunk);
}

/// The sum of the logits' exponentials. Those that are no numbers make it one of them.
__device__ double sum_of_exponentials(
    const float (&logits)[kSampleItems], float largest, WeightScale scale
) {
  const float reference = reference_of(largest);
  double sum = 0;
#pragma unroll
  for (int k = 0; k < kSampleItems; k += 2) {
    sum += static_cast<double>(
        exp2f(exponent_of(logits[k], reference, scale)) +
        exp2f(exponent_of(logits[k + 1], reference, scale))
    );
  }
  return block_reduce(sum, Plus{});
}

__device__ ChunkStats
chunk_stats(const SampleKernelArgs& args, const SampleRowParams& params, int row, int chunk) {
  float logits[kSampleItems];
  load_logits(args, row, chunk, logits);
  ChunkStats stats{};
  stats.max = largest_of(logits);
  stats.sum = sum_of_exponentials(logits, stats.max, kUnitScale);
  stats.adjusted_max = stats.max;
  if (is_adjusted(params)) {
    adjust_logits(args, params, chunk, logits);
    stats.adjusted_max = largest_of(logits);
  }
  stats.best = lowest_token(logits, stats.adjusted_max, chunk, args.vocab_size);
  if (params.temperature == 1.0 && !is_adjusted(params) && !isnan(stats.sum)) {
    stats.weight = stats.sum;
  } else if (params.temperature > 0) {
#pragma unroll
    for (float& logit : logits)
      logit = fmaxf(logit, -INFINITY);  // what is no number weighs nothing
    stats.weight = sum_of_exponentials(logits, stats.adjusted_max, scale_of(params));
  }
  return stats;
}

// --- rows ---

/// A row's chunks as the last block sees them: not from a cache that may be out of date.
struct Chunks {
  const ChunkStats* stats;
  int count;

  __device__ double sum(int chunk) const { return __ldcg(&stats[chunk].sum); }
  __device__ double weight(int chunk) const { return __ldcg(&stats[chunk].weight); }
  __device__ float max(int chunk) const { return __ldcg(&stats[chunk].max); }
  __device__ float adjusted_max(int chunk) const { return __ldcg(&stats[chunk].adjusted_max); }
  __device__ TokenId best(int chunk) const { return __ldcg(&stats[chunk].best); }

  /// A chunk's weight relative to the row's largest logit; 0 where infinities make it no number.
  __device__ double row_weight(int chunk, float largest, double temperature) const {
    const double distance = static_cast<double>(adjusted_max(chunk)) - largest;
    const double result = weight(chunk) * exp(distance / temperature);
    return result > 0 ? result : 0.0;
  }
};

__device__ RowSummary summarise(const Chunks& chunks) {
  Rank best = kNoToken;
  float largest = -INFINITY;
  for (int c = thread_index(); c < chunks.count; c += kSampleThreads) {
    best = Larger{}(best, rank_of(chunks.adjusted_max(c), static_cast<int>(chunks.best(c))));
    largest = fmaxf(largest, chunks.max(c));
  }
  best = block_reduce(best, Larger{});
  largest = block_reduce(largest, Larger{});
  double sum = 0;
  for (int c = thread_index(); c < chunks.count; c += kSampleThreads) {
    const double of_chunk = chunks.sum(c);
    // Nothing has no part, even where infinities would make it no number.
    if (of_chunk != 0) sum += of_chunk * exp(static_cast<double>(chunks.max(c)) - largest);
  }
  sum = block_reduce(sum, Plus{});
  return {
      .log_sum = largest + log(sum),
      .max = largest,
      .adjusted_max = logit_of(best),
      .best = token_of(best),
  };
}

/// A token from all those that may come; -1 if none weighs anything.
__device__ int draw_from_all(
    const SampleKernelArgs& args,
    const SampleRowParams& params,
    int row,
    const Chunks& chunks,
    float largest
) {
  const Place chunk = draw_chunk(chunks.count, params.number, [&](int c) {
    return chunks.row_weight(c, largest, params.temperature);
  });
  const float of_chunk = chunk.item < 0 ? 0.0F : reference_of(chunks.adjusted_max(chunk.item));
  return draw_token(args, params, row, chunk, [&](float logit, int) {
    return weight_of(exponent_of(logit, of_chunk, scale_of(params)));
  });
}

// --- bounds of selections ---

/// The k-th largest of the chunks' maxima: so many tokens are at least as large. Minus infinity if
/// there are fewer chunks.
template <class MaxOf>
__device__ float kth_largest_max(int num_chunks, int k, const MaxOf& max_of) {
  if (k > num_chunks) return -INFINITY;
  __shared__ float maxima[kRowItems * kSampleThreads];
  __shared__ float result;
  for (int c = thread_index(); c < num_chunks; c += kSampleThreads) maxima[c] = max_of(c);
  __syncthreads();
  for (int c = thread_index(); c < num_chunks; c += kSampleThreads) {
    int place = 1;
    for (int other = 0; other < num_chunks; ++other) {
      const bool is_before = maxima[other] > maxima[c] || (maxima[other] == maxima[c] && other < c);
      place += is_before ? 1 : 0;
    }
    if (place == k) result = maxima[c];
  }
  __syncthreads();
  return result;
}

__device__ SelectionCut bounded_cut(float largest, float bound) {
  SelectionCut cut{};
  cut.bound = bound;
  cut.bins_per_unit = static_cast<float>(kSampleBins) / (reference_of(largest) - bound);
  return cut;
}

/// Tokens below the bound are too light to be drawn, or not among the top_k, or together weigh less
/// than what top_p leaves out.
__device__ SelectionCut
choice_cut(const SampleRowParams& params, const Chunks& chunks, int vocab_size, float largest) {
  constexpr double kLn2 = 0.69314718055994530942;
  constexpr double kSlack = 0.99;  // weights are not exact
  const double reference = reference_of(largest);
  double bound = reference - kWeightBits * kLn2 * params.temperature;
  double total = 0;
  if (params.top_k > 0) {
    const float kth =
        kth_largest_max(chunks.count, params.top_k, [&](int c) { return chunks.adjusted_max(c); });
    bound = fmax(bound, static_cast<double>(kth));
  } else if (params.top_p < 1.0) {
    for (int c = thread_index(); c < chunks.count; c += kSampleThreads) {
      total += chunks.row_weight(c, largest, params.temperature);
    }
    total = block_reduce(total, Plus{});
    const double crumb = kSlack * (1.0 - params.top_p) * total / vocab_size;
    bound = fmax(bound, reference + params.temperature * log(crumb));
  }
  SelectionCut cut = bounded_cut(largest, static_cast<float>(bound));
  cut.total_weight = static_cast<Weight>(total * static_cast<double>(Weight{1} << kWeightBits));
  return cut;
}

/// Where chunks are too few for a bound, the last bin has all that is far below the largest logit.
__device__ SelectionCut
top_cut(const SampleRowParams& params, const Chunks& chunks, float largest) {
  constexpr float kFar = 100.0F;
  const float kth =
      kth_largest_max(chunks.count, params.num_top, [&](int c) { return chunks.max(c); });
  SelectionCut cut = bounded_cut(largest, kth);
  if (kth == -INFINITY) cut.bins_per_unit = static_cast<float>(kSampleBins) / kFar;
  return cut;
}

__global__ void __launch_bounds__(kSampleThreads, kSampleBlocks)
    statistics_kernel(const __grid_constant__ SampleKernelArgs args) {
  const int row = static_cast<int>(blockIdx.y);
  const SampleRowParams params = row_params(args, row);
  const Chunks chunks{
      args.scratch.chunk_stats + std::int64_t{row} * sample_chunks(args.vocab_size),
      sample_chunks(args.vocab_size)};
  clear_bins(args.scratch, params.choice_selection);
  clear_bins(args.scratch, params.top_selection);
  for (auto c = static_cast<int>(blockIdx.x); c < chunks.count; c += static_cast<int>(gridDim.x)) {
    const ChunkStats stats = chunk_stats(args, params, row, c);
    if (threadIdx.x == 0) args.scratch.chunk_stats[std::int64_t{row} * chunks.count + c] = stats;
  }
  if (!is_last_block(args.scratch.blocks_done[row], gridDim.x)) return;

  const RowSummary summary = summarise(chunks);
  if (threadIdx.x == 0) {
    args.scratch.blocks_done[row] = 0;
    args.scratch.summaries[row] = summary;
  }
  if (params.top_selection >= 0) {
    const SelectionCut cut = top_cut(params, chunks, summary.max);
    if (threadIdx.x == 0) args.scratch.cuts[params.top_selection] = cut;
  }
  if (params.choice_selection >= 0) {
    const SelectionCut cut = choice_cut(params, chunks, args.vocab_size, summary.adjusted_max);
    if (threadIdx.x == 0) args.scratch.cuts[params.choice_selection] = cut;
    return;
  }
  int token = -1;
  if (params.temperature > 0) {
    token = draw_from_all(args, params, row, chunks, reference_of(summary.adjusted_max));
  }
  if (threadIdx.x == 0) write_choice(args, row, token);
}

}  // namespace

void launch_sample_statistics(const SampleKernelArgs& args, cudaStream_t stream) {
  const dim3 grid(
      blocks_of_row(args.vocab_size, args.num_rows), static_cast<unsigned>(args.num_rows)
  );
  statistics_kernel<<<grid, kSampleThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "statistics_kernel");
}

}  // namespace gossamer::kernels::cuda
