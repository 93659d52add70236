#pragma once

#include <vector>

#include "tensor/mxfp4.h"
#include "tensor/view.h"

namespace gossamer::kernels {

/// y = W x + b. The bias may be empty.
struct Linear {
  tensor::View weight;  // BF16 [out_features, in_features]
  tensor::View bias;    // BF16 [out_features], or empty
};

/// A linear layer per expert, weights packed as MXFP4.
struct ExpertLinear {
  tensor::Mxfp4View weight;  // [num_experts, out_features, in_features]
  tensor::View bias;         // BF16 [num_experts, out_features]
};

/// The tensors of one layer, whatever layout they came from.
struct LayerWeights {
  tensor::View attn_norm;  // BF16 [hidden_size]
  Linear q;                // [num_attention_heads * head_dim, hidden_size]
  Linear k;                // [num_key_value_heads * head_dim, hidden_size]
  Linear v;                // [num_key_value_heads * head_dim, hidden_size]
  tensor::View sinks;      // BF16 [num_attention_heads]
  Linear attn_out;         // [hidden_size, num_attention_heads * head_dim]
  tensor::View mlp_norm;   // BF16 [hidden_size]
  Linear router;           // [num_experts, hidden_size]
  ExpertLinear gate_up;    // [num_experts, 2 * intermediate_size, hidden_size], rows interleaved
  ExpertLinear down;       // [num_experts, hidden_size, intermediate_size]
};

/// The canonical view of a checkpoint: borrowed tensors that the checkpoint, or a backend, owns.
struct Weights {
  tensor::View embedding;  // BF16 [vocab_size, hidden_size]
  std::vector<LayerWeights> layers;
  tensor::View norm;         // BF16 [hidden_size]
  tensor::View unembedding;  // BF16 [vocab_size, hidden_size]
};

}  // namespace gossamer::kernels
