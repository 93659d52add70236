#include "kernels/step_bytes.h"

#include <algorithm>
#include <cmath>

namespace gossamer::kernels {

double bytes_of(const Linear& layer) {
  return static_cast<double>(layer.weight.size_bytes() + layer.bias.size_bytes());
}

double bytes_of_position(const KvLayer& kv) {
  const tensor::Shape& shape = kv.keys.shape();
  return 2.0 * static_cast<double>(shape[1] * shape[3]) *
         static_cast<double>(tensor::size_of(kv.keys.dtype()));
}

double expected_experts(int num_experts, int experts_per_token, int num_tokens) {
  if (num_tokens == 1) return experts_per_token;
  const double missed = 1.0 - experts_per_token / static_cast<double>(num_experts);
  return num_experts * (1.0 - std::pow(missed, num_tokens));
}

double expected_bytes_of(const ExpertLinear& layer, int experts_per_token, int num_tokens) {
  const auto num_experts = static_cast<int>(layer.weight.num_matrices());
  const auto all = static_cast<double>(
      layer.weight.blocks.size_bytes() + layer.weight.scales.size_bytes() + layer.bias.size_bytes()
  );
  return all * expected_experts(num_experts, experts_per_token, num_tokens) / num_experts;
}

std::int64_t positions_in_view(const StepSequences& sequences, int sliding_window) {
  std::int64_t positions = 0;
  for (std::size_t s = 0; s < sequences.context_lens.size(); ++s) {
    const int num_new = sequences.cu_seqlens_q[s + 1] - sequences.cu_seqlens_q[s];
    const int context = sequences.context_lens[s];
    const bool slides = sliding_window > 0;
    positions += slides ? std::min(context, sliding_window + num_new - 1) : context;
  }
  return positions;
}

double expected_bytes_of(const LayerWeights& layer, int experts_per_token, int num_tokens) {
  double bytes = expected_bytes_of(layer.gate_up, experts_per_token, num_tokens) +
                 expected_bytes_of(layer.down, experts_per_token, num_tokens);
  for (const Linear* linear : {&layer.q, &layer.k, &layer.v, &layer.attn_out, &layer.router}) {
    bytes += bytes_of(*linear);
  }
  return bytes;
}

double expected_step_bytes(const StepTraffic& step) {
  double bytes = static_cast<double>(step.weights->unembedding.size_bytes());
  for (std::size_t i = 0; i < step.weights->layers.size(); ++i) {
    bytes += expected_bytes_of(
        step.weights->layers[i], step.experts_per_token, step.sequences.num_tokens()
    );
    bytes += step.position_bytes *
             static_cast<double>(positions_in_view(step.sequences, step.sliding_windows[i]));
  }
  return bytes;
}

}  // namespace gossamer::kernels
