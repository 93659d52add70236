#pragma once

#include <cstdint>
#include <span>

#include "kernels/step.h"
#include "kernels/weights.h"

namespace gossamer::kernels {

// Bytes that must be moved, each once, whatever the hardware: what a time is compared with.

double bytes_of(const Linear& layer);

/// One layer's keys and values of a position.
double bytes_of_position(const KvLayer& kv);

/// How many of num_experts are chosen at least once by num_tokens tokens that choose
/// experts_per_token each, if all are equally likely; exact for one token.
double expected_experts(int num_experts, int experts_per_token, int num_tokens);

/// What so many tokens are expected to read of a layer's experts.
double expected_bytes_of(const ExpertLinear& layer, int experts_per_token, int num_tokens);

/// The sequences of a step, as in StepInputs.
struct StepSequences {
  std::span<const std::int32_t> cu_seqlens_q;  // [num_sequences + 1]
  std::span<const std::int32_t> context_lens;  // [num_sequences]

  int num_tokens() const { return cu_seqlens_q.back(); }
};

/// Positions whose keys and values a layer's attention reads, added up over the sequences.
/// sliding_window: 0 for full attention.
std::int64_t positions_in_view(const StepSequences& sequences, int sliding_window);

/// What a layer's products and experts read of its weights.
double expected_bytes_of(const LayerWeights& layer, int experts_per_token, int num_tokens);

/// A whole step, for expected_step_bytes.
struct StepTraffic {
  const Weights* weights = nullptr;
  std::span<const std::int32_t> sliding_windows;  // [num_hidden_layers], 0: full attention
  StepSequences sequences;
  int experts_per_token = 0;
  double position_bytes = 0;  // keys and values of a position in one layer
};

/// Every dense weight once, the experts that are expected to be chosen, the keys and values in
/// view, and the unembedding.
double expected_step_bytes(const StepTraffic& step);

}  // namespace gossamer::kernels
