// Weighs the tokens before a selection's edge by chunks, lists those that may be on either side of
// it, and settles among these where it is. Then chooses from the tokens that are kept, or reports
// the likeliest. The blocks (., s) share the chunks of selection s, and the last of them draws the
// conclusion. Bound by memory where rows are many, by latency where they are few.

#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/sample_draw.cuh"
#include "kernels/cuda/sample_edge.cuh"
#include "kernels/cuda/sample_selection.cuh"

namespace gossamer::kernels::cuda {
namespace {

// --- chunks ---

/// The bins whose tokens are listed; those in bins before are surely kept.
struct ListedBins {
  int first;
  int last;
};

__device__ ListedBins listed_bins(const SelectionView& selection) {
  if (!selection.has_bins()) return {kSampleBins, -1};
  return {selection.cut().first_bin, selection.cut().last_bin};
}

__device__ void append_to_list(const SelectionView& selection, const Rank (&ranks)[kSampleItems]) {
  __shared__ std::uint32_t first_place;
  int count = 0;
#pragma unroll
  for (const Rank rank : ranks) count += rank != kNoToken ? 1 : 0;
  const auto [before, total] = block_scan(count);
  if (total == 0) return;
  if (threadIdx.x == 0) {
    first_place = atomicAdd(&selection.cut().num_listed, static_cast<std::uint32_t>(total));
  }
  __syncthreads();
  std::uint32_t place = first_place + static_cast<std::uint32_t>(before);
#pragma unroll
  for (const Rank rank : ranks) {
    if (rank == kNoToken) continue;
    if (place < kMaxListed) selection.listed_tokens()[place] = rank;
    ++place;
  }
  __syncthreads();
}

__device__ void list_chunk(
    const SelectionView& selection, const Measure& measure, const ListedBins& bins, int chunk
) {
  float logits[kSampleItems];
  selection.load(chunk, logits);
  Weight kept = 0;
  Rank listed[kSampleItems];
#pragma unroll
  for (int k = 0; k < kSampleItems; ++k) {
    const int token = first_token(chunk) + k;
    const int bin = measure.bin(logits[k], token);
    const bool is_kept = selection.is_choice && bin < bins.first;
    const bool is_listed = !is_kept && bin <= bins.last;
    if (is_kept && measure.reaches_floor(logits[k])) kept += measure.weight(logits[k]);
    listed[k] = is_listed ? rank_of(logits[k], token) : kNoToken;
  }
  append_to_list(selection, listed);
  if (!selection.is_choice) return;
  kept = block_reduce(kept, Plus{});
  if (threadIdx.x == 0) selection.kept_weights()[chunk] = kept;
}

// --- choice ---

/// Weighs the tokens from `edge` on by chunks, all anew.
__device__ void weigh_row(const SelectionView& selection, const Measure& measure, Rank edge) {
  for (int chunk = 0; chunk < selection.num_chunks(); ++chunk) {
    float logits[kSampleItems];
    selection.load(chunk, logits);
    Weight kept = 0;
#pragma unroll
    for (int k = 0; k < kSampleItems; ++k) {
      const int token = first_token(chunk) + k;
      if (measure.bin(logits[k], token) == kSampleBins || rank_of(logits[k], token) < edge)
        continue;
      if (measure.reaches_floor(logits[k])) kept += measure.weight(logits[k]);
    }
    kept = block_reduce(kept, Plus{});
    if (threadIdx.x == 0) selection.kept_weights()[chunk] = kept;
  }
}

/// The exact edge of what top_k and top_p keep; the selection's kept weights are complete after it.
__device__ Rank
settle_edge(const SelectionView& selection, const Measure& measure, SharedBins& bins) {
  const SelectionCut& cut = selection.cut();
  const std::uint32_t num_listed = __ldcg(&cut.num_listed);
  if (num_listed == 0) return kNoToken;
  Rank edge = kNoToken;
  if (num_listed > kMaxListed) {
    edge = find_edge(selection, measure, RowTokens{selection, measure}, {0, 0}, bins);
    weigh_row(selection, measure, edge);
  } else {
    const ListedTokens listed{selection, static_cast<int>(num_listed)};
    edge = find_edge(selection, measure, listed, {cut.count_above, cut.weight_above}, bins);
    listed.for_each([&](Rank rank) {
      const float logit = logit_of(rank);
      if (rank < edge || !measure.reaches_floor(logit)) return;
      atomicAdd(selection.kept_weights() + token_of(rank) / kSampleChunk, measure.weight(logit));
    });
  }
  __syncthreads();
  return edge;
}

__device__ void choose(const SelectionView& selection, const Measure& measure, SharedBins& bins) {
  const Rank edge = settle_edge(selection, measure, bins);
  const Place chunk = draw_chunk(selection.num_chunks(), selection.params.number, [&](int c) {
    return static_cast<double>(__ldcg(selection.kept_weights() + c));
  });
  const auto weight = [&](float logit, int token) {
    const bool is_kept = measure.bin(logit, token) < kSampleBins && rank_of(logit, token) >= edge &&
                         measure.reaches_floor(logit);
    return is_kept ? measure.weight(logit) : Weight{0};
  };
  const int token = draw_token(selection.args, selection.params, selection.row, chunk, weight);
  if (threadIdx.x == 0) write_choice(selection.args, selection.row, token);
}

// --- report ---

/// Writes the likeliest tokens in order: a token's place is the number of those before it.
__device__ void write_likeliest(
    const SelectionView& selection, const Rank (&ranks)[kMaxTopLogprobs], int count
) {
  const int i = thread_index();
  SampleOutput& output = selection.args.outputs[selection.row];
  if (i == 0) output.num_top = static_cast<std::uint32_t>(count);
  if (i >= count) return;
  int place = 0;
  for (int other = 0; other < count; ++other) place += ranks[other] > ranks[i] ? 1 : 0;
  const double log_sum = selection.args.scratch.summaries[selection.row].log_sum;
  output.top_tokens[place] = token_of(ranks[i]);
  output.top_logprobs[place] = static_cast<double>(logit_of(ranks[i])) - log_sum;
}

template <class Tokens>
__device__ void report(
    const SelectionView& selection, const Measure& measure, const Tokens& tokens, SharedBins& bins
) {
  __shared__ Rank likeliest[kMaxTopLogprobs];
  __shared__ int count;
  if (threadIdx.x == 0) count = 0;
  const Rank edge = find_edge(selection, measure, tokens, {0, 0}, bins);
  __syncthreads();
  tokens.for_each([&](Rank rank) {
    if (rank >= edge) likeliest[atomicAdd(&count, 1)] = rank;
  });
  __syncthreads();
  write_likeliest(selection, likeliest, count);
}

__global__ void __launch_bounds__(kSampleThreads, kSampleBlocks)
    list_kernel(const __grid_constant__ SampleKernelArgs args) {
  __shared__ SharedBins bins;
  const SelectionView selection(args, static_cast<int>(blockIdx.y));
  const Measure measure(selection);
  const ListedBins listed = listed_bins(selection);
  const int num_chunks = selection.num_chunks();
  for (auto c = static_cast<int>(blockIdx.x); c < num_chunks; c += static_cast<int>(gridDim.x)) {
    list_chunk(selection, measure, listed, c);
  }
  if (!is_last_block(selection.cut().blocks_done, gridDim.x)) return;
  const std::uint32_t num_listed = __ldcg(&selection.cut().num_listed);
  if (selection.is_choice) {
    choose(selection, measure, bins);
  } else if (num_listed > kMaxListed) {
    report(selection, measure, RowTokens{selection, measure}, bins);
  } else {
    report(selection, measure, ListedTokens{selection, static_cast<int>(num_listed)}, bins);
  }
}

}  // namespace

void launch_sample_list(const SampleKernelArgs& args, cudaStream_t stream) {
  const dim3 grid(
      blocks_of_row(args.vocab_size, args.num_selections),
      static_cast<unsigned>(args.num_selections)
  );
  list_kernel<<<grid, kSampleThreads, 0, stream>>>(args);
  check(cudaGetLastError(), "list_kernel");
}

}  // namespace gossamer::kernels::cuda
