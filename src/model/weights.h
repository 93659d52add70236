#pragma once

#include <vector>

#include "kernels/weights.h"
#include "tensor/view.h"

namespace gossamer::model {

/// The tensors of one layer, whatever layout they came from.
struct LayerWeights {
  tensor::View attn_norm;    // BF16 [hidden_size]
  kernels::Linear q;         // [num_attention_heads * head_dim, hidden_size]
  kernels::Linear k;         // [num_key_value_heads * head_dim, hidden_size]
  kernels::Linear v;         // [num_key_value_heads * head_dim, hidden_size]
  tensor::View sinks;        // BF16 [num_attention_heads]
  kernels::Linear attn_out;  // [hidden_size, num_attention_heads * head_dim]
  tensor::View mlp_norm;     // BF16 [hidden_size]
  kernels::Linear router;    // [num_experts, hidden_size]
  kernels::ExpertLinear
      gate_up;  // [num_experts, 2 * intermediate_size, hidden_size], rows interleaved
  kernels::ExpertLinear down;  // [num_experts, hidden_size, intermediate_size]
};

/// The canonical view of a checkpoint: borrowed tensors that the checkpoint, or a backend, owns.
struct Weights {
  tensor::View embedding;  // BF16 [vocab_size, hidden_size]
  std::vector<LayerWeights> layers;
  tensor::View norm;         // BF16 [hidden_size]
  tensor::View unembedding;  // BF16 [vocab_size, hidden_size]
};

}  // namespace gossamer::model
