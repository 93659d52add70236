#pragma once

// How the kernels of sampling read a chunk of logits, order tokens and weigh them. A thread has the
// tokens [first_token(chunk), first_token(chunk) + kSampleItems).

#include <cuda_runtime.h>

#include "kernels/cuda/sample.cuh"
#include "kernels/cuda/sample_block.cuh"

namespace gossamer::kernels::cuda {

/// Of a chunk, and of the bins.
inline constexpr int kSampleItems = kSampleChunk / kSampleThreads;
static_assert(kSampleItems * kSampleThreads == kSampleChunk && kSampleChunk == kSampleBins);
/// Of the chunks of a row.
inline constexpr int kRowItems = 6;
static_assert(sample_chunks(kMaxSampleVocab) <= kRowItems * kSampleThreads);

// --- parameters ---

__device__ inline SampleRowParams row_params(const SampleKernelArgs& args, int row) {
  return args.rows == nullptr ? args.few_rows[row] : args.rows[row];
}

__device__ inline Selection selection_at(const SampleKernelArgs& args, int index) {
  return args.selections == nullptr ? args.few_selections[index] : args.selections[index];
}

// --- order ---

/// Larger for larger logits, and of equal ones for the lower token. What is no number is the least.
/// 0 is below every token's.
using Rank = unsigned long long;
inline constexpr Rank kNoToken = 0;
inline constexpr std::uint32_t kTokenMask = kMaxSampleVocab - 1;

__device__ inline Rank rank_of(float logit, int token) {
  const std::uint32_t bits = __float_as_uint(logit + 0.0F);  // one zero only
  const std::uint32_t ordered = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
  const Rank key = isnan(logit) ? 0 : ordered;
  return key << kSampleTokenBits | (kTokenMask - static_cast<std::uint32_t>(token));
}

/// Minus infinity for what is no number.
__device__ inline float logit_of(Rank rank) {
  const auto ordered = static_cast<std::uint32_t>(rank >> kSampleTokenBits);
  const std::uint32_t bits = (ordered & 0x80000000U) != 0 ? ordered & 0x7FFFFFFFU : ~ordered;
  return fmaxf(__uint_as_float(bits), -INFINITY);
}

__device__ inline TokenId token_of(Rank rank) {
  return kTokenMask - (static_cast<std::uint32_t>(rank) & kTokenMask);
}

// --- weights ---

/// log2(e) / temperature, as two floats.
struct WeightScale {
  float high;
  float low;
};

inline constexpr float kLog2E = 1.44269504F;
inline constexpr float kLog2ELow = 1.92596299e-8F;
inline constexpr WeightScale kUnitScale{kLog2E, kLog2ELow};

__device__ inline WeightScale scale_of(const SampleRowParams& params) {
  return {params.scale_high, params.scale_low};
}

/// What logits are compared with in exponents: where all are minus infinity, with 0.
__device__ inline float reference_of(float largest) {
  return largest == -INFINITY ? 0.0F : largest;
}

/// log2 of a logit's weight relative to that of `largest`, which is not minus infinity. No number
/// where the logit is none, or plus infinity.
__device__ inline float exponent_of(float logit, float largest, WeightScale scale) {
  constexpr float kFar = -1e30F;
  const float distance = logit - largest;
  const float clamped = distance < kFar ? kFar : distance;  // so that no infinities cancel
  return fmaf(clamped, scale.high, clamped * scale.low);
}

/// Weights are whole numbers, so that sums do not depend on the order: the largest logit's is
/// 2^kWeightBits, and one of less than a half is nothing.
using Weight = unsigned long long;
inline constexpr int kWeightBits = 40;

__device__ inline Weight weight_of(float exponent) {
  if (!(exponent > -kWeightBits)) return 0;
  return __float2ull_rn(exp2f(exponent) * static_cast<float>(Weight{1} << kWeightBits));
}

// --- chunks ---

__device__ inline int first_token(int chunk) {
  return chunk * kSampleChunk + thread_index() * kSampleItems;
}

/// Minus infinity where there is no token.
__device__ inline void load_logits(
    const SampleKernelArgs& args, int row, int chunk, float (&logits)[kSampleItems]
) {
  const int first = first_token(chunk);
  const float* from = args.logits + std::int64_t{row} * args.vocab_size + first;
  constexpr int kWidth = 4;
  static_assert(kSampleItems % kWidth == 0);
  const bool is_aligned = args.vocab_size % kWidth == 0;
#pragma unroll
  for (int k = 0; k < kSampleItems; k += kWidth) {
    if (is_aligned && first + k < args.vocab_size) {
      const float4 loaded = *reinterpret_cast<const float4*>(from + k);
      logits[k] = loaded.x;
      logits[k + 1] = loaded.y;
      logits[k + 2] = loaded.z;
      logits[k + 3] = loaded.w;
      continue;
    }
#pragma unroll
    for (int i = k; i < k + kWidth; ++i) {
      logits[i] = first + i < args.vocab_size ? from[i] : -INFINITY;
    }
  }
}

/// The same operations on the same types as on the host, none fused, so that the bits are the same.
__device__ inline float adjusted(
    float logit, const LogitAdjustment& adjustment, const SampleRowParams& params
) {
  logit = __fadd_rn(logit, adjustment.bias);
  if (adjustment.seen != 0) {
    logit = logit > 0 ? __fdiv_rn(logit, params.repetition_penalty)
                      : __fmul_rn(logit, params.repetition_penalty);
  }
  const double frequency = __dmul_rn(params.frequency_penalty, adjustment.count);
  logit = __fsub_rn(logit, static_cast<float>(frequency));
  return adjustment.count > 0 ? __fsub_rn(logit, params.presence_penalty) : logit;
}

__device__ inline bool is_adjusted(const SampleRowParams& params) {
  return params.num_adjustments > 0 || params.first_mask_word >= 0;
}

/// Adjusts and masks a chunk's logits. All threads must call.
__device__ inline void adjust_logits(
    const SampleKernelArgs& args,
    const SampleRowParams& params,
    int chunk,
    float (&logits)[kSampleItems]
) {
  const int item = thread_index() * kSampleItems;
  if (params.num_adjustments > 0) {
    __shared__ float staged[kSampleChunk];
#pragma unroll
    for (int k = 0; k < kSampleItems; ++k) staged[item + k] = logits[k];
    __syncthreads();
    const LogitAdjustment* adjustments = args.adjustments + params.first_adjustment;
    const auto begin = static_cast<TokenId>(chunk * kSampleChunk);
    for (int i = thread_index(); i < params.num_adjustments; i += kSampleThreads) {
      const TokenId place = adjustments[i].token - begin;  // wraps around below the chunk
      if (place < kSampleChunk) staged[place] = adjusted(staged[place], adjustments[i], params);
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kSampleItems; ++k) logits[k] = staged[item + k];
    __syncthreads();
  }
  const int first = first_token(chunk);
  if (params.first_mask_word < 0 || first >= args.vocab_size) return;
  constexpr int kWordBits = 32;
  static_assert(kSampleItems <= kWordBits);
  const auto* words =
      reinterpret_cast<const std::uint32_t*>(args.mask_words + params.first_mask_word);
  const int word = first / kWordBits;
  const int last_word = (args.vocab_size - 1) / kWordBits;
  const std::uint32_t allowed =
      __funnelshift_r(words[word], words[min(word + 1, last_word)], first % kWordBits);
#pragma unroll
  for (int k = 0; k < kSampleItems; ++k) {
    if ((allowed >> k & 1U) == 0) logits[k] = -INFINITY;
  }
}

}  // namespace gossamer::kernels::cuda
