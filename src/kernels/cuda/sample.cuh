#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/sampling.h"

namespace gossamer::kernels::cuda {

/// A block of threads looks at a chunk of a row at a time.
inline constexpr int kSampleChunk = 1536;
/// Where the order of tokens is a number, this many bits of it are the token.
inline constexpr int kSampleTokenBits = 20;
inline constexpr int kMaxSampleVocab = 1 << kSampleTokenBits;
inline constexpr int kMaxTopLogprobs = 20;
/// A selection sorts tokens into this many bins by their distance to the largest logit.
inline constexpr int kSampleBins = 1536;
/// Tokens near a selection's edge are listed; a row with more of them is searched as it is.
inline constexpr int kMaxListed = 4096;
/// So many rows' parameters are arguments of the kernels.
inline constexpr int kFewSampleRows = 8;

constexpr int sample_chunks(int vocab_size) {
  return (vocab_size + kSampleChunk - 1) / kSampleChunk;
}

/// What a chunk of a row's logits adds up to, relative to the chunk's own maxima, so that it can be
/// computed before the row's are known. Logits that are no numbers have no part in maxima and in
/// `weight`, and make `sum` one of them. A maximum of minus infinity counts as 0 in the exponents.
struct alignas(16) ChunkStats {
  double sum;     // of exp(logit - max), logits as they are
  double weight;  // of exp((logit - adjusted_max) / temperature), adjusted, masked; 0 if greedy
  float max;      // of the logits as they are
  float adjusted_max;  // of the logits adjusted and masked
  TokenId best;        // the lowest that has adjusted_max
};
static_assert(sizeof(ChunkStats) == 32);

/// SampleRow as the kernels read it.
struct alignas(16) SampleRowParams {
  double number;
  double temperature;
  double top_p;
  double floor;  // temperature * log(min_p): tokens this far below the largest logit are dropped
  double frequency_penalty;
  float repetition_penalty;
  float presence_penalty;
  float scale_high;  // log2(e) / temperature is scale_high + scale_low
  float scale_low;
  std::int32_t top_k;
  std::int32_t num_top;
  std::int32_t first_adjustment;
  std::int32_t num_adjustments;
  std::int64_t first_mask_word;   // -1: every token may come
  std::int32_t choice_selection;  // selection that narrows the choice; -1: all tokens are kept
  std::int32_t top_selection;     // selection of the num_top likeliest; -1: not wanted
};

/// Which tokens a selection is about: those to choose from, or those to report.
enum class SelectionKind : std::int32_t { kChoice, kTop };

struct Selection {
  std::int32_t row;
  SelectionKind kind;
};

/// What the chunks of a row add up to.
struct RowSummary {
  double log_sum;      // log(sum(exp(logits))), of the logits as they are
  float max;           // of the logits as they are
  float adjusted_max;  // of the logits adjusted and masked
  TokenId best;        // the lowest that has adjusted_max
};

/// What is known of a selection's edge. Tokens below `bound` are not selected; the others are in
/// bins, by their distance to the largest logit. When the bins are full, tokens in bins before
/// first_bin are selected, those after last_bin are not, and those between are listed.
struct SelectionCut {
  float bound;
  float bins_per_unit;
  unsigned long long total_weight;  // of all tokens, for a top_p without a top_k
  unsigned long long
      weight_above;           // of the tokens in bins before first_bin, where there is a top_p
  std::uint32_t count_above;  // how many tokens those are
  std::int32_t first_bin;
  std::int32_t last_bin;
  std::uint32_t counts_tokens;  // whether num_top, or top_k, is less than the tokens in bins
  std::uint32_t num_listed;
  std::uint32_t blocks_done;
};

/// A row's result, written where the host can read it.
struct alignas(16) SampleOutput {
  double logprob;
  TokenId token;
  std::uint32_t num_top;
  double top_logprobs[kMaxTopLogprobs];
  TokenId top_tokens[kMaxTopLogprobs];
};

/// Device memory in which the kernels of a call leave each other notes. Zeroed once; no call leaves
/// anything for the next.
struct SampleScratch {
  std::uint32_t* blocks_done;         // [rows], 0 between calls
  ChunkStats* chunk_stats;            // [rows, chunks]
  RowSummary* summaries;              // [rows]
  SelectionCut* cuts;                 // [selections]
  std::uint32_t* bin_counts;          // [selections, kSampleBins]
  unsigned long long* bin_weights;    // [selections, kSampleBins]
  unsigned long long* kept_weights;   // [selections, chunks], of the tokens to choose from
  unsigned long long* listed_tokens;  // [selections, kMaxListed], as ranks
};

/// Bytes of scratch for up to max_rows rows, with two selections each.
std::size_t sample_scratch_bytes(int max_rows, int vocab_size);

/// Lays the scratch out in memory of sample_scratch_bytes(), aligned to 256.
SampleScratch place_sample_scratch(std::byte* memory, int max_rows, int vocab_size);

struct SampleKernelArgs {
  const float* logits;  // [num_rows, vocab_size], aligned to 16 bytes
  int num_rows;
  int vocab_size;  // up to kMaxSampleVocab
  int num_selections;
  bool has_bins;                // a selection has top_k, top_p or num_top, and not min_p alone
  const SampleRowParams* rows;  // [num_rows]; null: in few_rows
  const Selection* selections;  // [num_selections]; null: in few_selections
  const LogitAdjustment* adjustments;  // what rows count their adjustments from
  const std::uint64_t* mask_words;     // likewise
  SampleScratch scratch;
  SampleOutput* outputs;  // [num_rows]
  SampleRowParams few_rows[kFewSampleRows];
  Selection few_selections[2 * kFewSampleRows];
};

/// Chooses a token for every row, as SampleRow says. Log-probabilities are within 1e-6. A choice
/// differs from the exact one only where `number` is within 1e-6 of the border of two tokens;
/// running again gives the same bits. Launches one kernel where all rows keep all tokens and want
/// no likeliest ones reported, else two or three.
void launch_sample(const SampleKernelArgs& args, cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
