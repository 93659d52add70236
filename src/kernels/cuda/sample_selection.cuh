#pragma once

// What the kernels of sampling know of a selection: the tokens of a row to choose from, or its
// likeliest ones to report.

#include <cuda_runtime.h>

#include "kernels/cuda/sample.cuh"
#include "kernels/cuda/sample_chunk.cuh"

namespace gossamer::kernels::cuda {

// The kernels of one call, in order.
void launch_sample_statistics(const SampleKernelArgs& args, cudaStream_t stream);
void launch_sample_bins(const SampleKernelArgs& args, cudaStream_t stream);
void launch_sample_list(const SampleKernelArgs& args, cudaStream_t stream);

/// Blocks that share the chunks of a row, when there are `count` rows or selections: one for each
/// chunk, but in all not many more than run at once.
unsigned blocks_of_row(int vocab_size, int count);

struct SelectionView {
  const SampleKernelArgs& args;
  int index;
  int row;
  bool is_choice;
  SampleRowParams params;

  __device__ SelectionView(const SampleKernelArgs& args, int index)
      : args(args),
        index(index),
        row(selection_at(args, index).row),
        is_choice(selection_at(args, index).kind == SelectionKind::kChoice),
        params(row_params(args, row)) {}

  __device__ int num_chunks() const { return sample_chunks(args.vocab_size); }
  __device__ SelectionCut& cut() const { return args.scratch.cuts[index]; }
  __device__ std::uint32_t* bin_counts() const {
    return args.scratch.bin_counts + std::int64_t{index} * kSampleBins;
  }
  __device__ Weight* bin_weights() const {
    return args.scratch.bin_weights + std::int64_t{index} * kSampleBins;
  }
  __device__ Weight* kept_weights() const {
    return args.scratch.kept_weights + std::int64_t{index} * num_chunks();
  }
  __device__ Rank* listed_tokens() const {
    return args.scratch.listed_tokens + std::int64_t{index} * kMaxListed;
  }

  /// How many tokens are selected at most; 0: as many as there are.
  __device__ std::uint32_t limit() const {
    return static_cast<std::uint32_t>(is_choice ? params.top_k : params.num_top);
  }
  __device__ double top_p() const { return is_choice ? params.top_p : 1.0; }
  /// Whether bins say which tokens are selected. min_p alone does not need them.
  __device__ bool has_bins() const { return limit() > 0 || top_p() < 1.0; }

  __device__ void load(int chunk, float (&logits)[kSampleItems]) const {
    load_logits(args, row, chunk, logits);
    if (is_choice) adjust_logits(args, params, chunk, logits);
  }
};

/// How a selection's tokens are ordered and weighed, in registers.
struct Measure {
  WeightScale scale;
  float largest;  // of the logits selected from; not minus infinity
  float bound;
  float bins_per_unit;
  double floor;
  int vocab_size;

  __device__ explicit Measure(const SelectionView& selection)
      : scale(scale_of(selection.params)),
        floor(selection.params.floor),
        vocab_size(selection.args.vocab_size) {
    const RowSummary& summary = selection.args.scratch.summaries[selection.row];
    largest = reference_of(selection.is_choice ? summary.adjusted_max : summary.max);
    bound = selection.cut().bound;
    bins_per_unit = selection.cut().bins_per_unit;
  }

  __device__ Weight weight(float logit) const {
    return weight_of(exponent_of(logit, largest, scale));
  }
  __device__ bool reaches_floor(float logit) const {
    return static_cast<double>(logit) - static_cast<double>(largest) >= floor;
  }
  /// kSampleBins where a token is not selected whatever its bin's edge is.
  __device__ int bin(float logit, int token) const {
    if (!(logit >= bound) || token >= vocab_size) return kSampleBins;
    constexpr auto kLast = static_cast<float>(kSampleBins - 1);
    return static_cast<int>(fminf((largest - logit) * bins_per_unit, kLast));
  }
};

/// Masses of bins as two words, since shared memory adds no 64-bit ones at once.
struct SharedBins {
  std::uint32_t low[kSampleBins];
  std::uint32_t high[kSampleBins];

  __device__ void clear() {
    for (int bin = thread_index(); bin < kSampleBins; bin += kSampleThreads) {
      low[bin] = 0;
      high[bin] = 0;
    }
  }
  __device__ void add(int bin, Weight mass) {
    const auto low_part = static_cast<std::uint32_t>(mass);
    const std::uint32_t before = atomicAdd(&low[bin], low_part);
    const std::uint32_t carry = before + low_part < before ? 1 : 0;
    const std::uint32_t high_part = static_cast<std::uint32_t>(mass >> 32U) + carry;
    if (high_part != 0) atomicAdd(&high[bin], high_part);
  }
  __device__ Weight mass(int bin) const { return Weight{high[bin]} << 32U | low[bin]; }
};

}  // namespace gossamer::kernels::cuda
