#pragma once

// A row's token, when it is known how heavy its chunks are.

#include <cuda_runtime.h>

#include "kernels/cuda/sample_chunk.cuh"

namespace gossamer::kernels::cuda {

/// The chunk of a row that `number` falls on, where chunks are as heavy as weight_of(chunk) says.
template <class WeightOf>
__device__ Place draw_chunk(int num_chunks, double number, const WeightOf& weight_of) {
  __shared__ double shared_weights[kRowItems * kSampleThreads];
  for (int chunk = thread_index(); chunk < kRowItems * kSampleThreads; chunk += kSampleThreads) {
    shared_weights[chunk] = chunk < num_chunks ? weight_of(chunk) : 0.0;
  }
  __syncthreads();
  double weights[kRowItems];
#pragma unroll
  for (int k = 0; k < kRowItems; ++k) weights[k] = shared_weights[thread_index() * kRowItems + k];
  return find_place(weights, number);
}

/// The token of a chunk that the chunk's fraction falls on, where tokens are as heavy as
/// weight_of(logit, token) says; -1 if none weighs anything.
template <class WeightOf>
__device__ int draw_token(
    const SampleKernelArgs& args,
    const SampleRowParams& params,
    int row,
    const Place& chunk,
    const WeightOf& weight_of
) {
  if (chunk.item < 0) return -1;
  float logits[kSampleItems];
  load_logits(args, row, chunk.item, logits);
  adjust_logits(args, params, chunk.item, logits);
  const int first = first_token(chunk.item);
  double weights[kSampleItems];
#pragma unroll
  for (int k = 0; k < kSampleItems; ++k) {
    const bool is_token = first + k < args.vocab_size;
    weights[k] = is_token ? static_cast<double>(weight_of(logits[k], first + k)) : 0.0;
  }
  const int item = find_place(weights, chunk.fraction).item;
  return item < 0 ? -1 : chunk.item * kSampleChunk + item;
}

/// Writes a row's token: the one that was drawn, or the likeliest where that is -1. For one thread.
__device__ inline void write_choice(const SampleKernelArgs& args, int row, int drawn) {
  const RowSummary& summary = args.scratch.summaries[row];
  const TokenId token = drawn < 0 ? summary.best : static_cast<TokenId>(drawn);
  const float logit = args.logits[std::int64_t{row} * args.vocab_size + token];
  args.outputs[row].token = token;
  args.outputs[row].logprob = static_cast<double>(logit) - summary.log_sum;
}

}  // namespace gossamer::kernels::cuda
