#pragma once

#include "kernels/weights.h"
#include "tests/kernels/random_tensors.h"

namespace gossamer::kernels::cuda {

/// Random weights of two small layers, in shapes that need padding.
inline Weights small_weights(RandomTensors& random) {
  constexpr std::int64_t kHidden = 96;
  constexpr std::int64_t kIntermediate = 160;
  constexpr std::int64_t kExperts = 5;
  constexpr std::int64_t kVocabulary = 1003;
  Weights weights;
  weights.embedding = random.bf16({kVocabulary, kHidden}, 1);
  for (int layer = 0; layer < 2; ++layer) {
    weights.layers.push_back(
        {.attn_norm = random.bf16({kHidden}, 1),
         .q = random.linear(4 * 64, kHidden),
         .k = random.linear(64, kHidden),
         .v = random.linear(64, kHidden),
         .sinks = random.bf16({4}, 1),
         .attn_out = random.linear(kHidden, 4 * 64),
         .mlp_norm = random.bf16({kHidden}, 1),
         .router = random.linear(kExperts, kHidden),
         .gate_up = random.experts(kExperts, 2 * kIntermediate, kHidden),
         .down = random.experts(kExperts, kHidden, kIntermediate)}
    );
  }
  weights.norm = random.bf16({kHidden}, 1);
  weights.unembedding = random.bf16({kVocabulary, kHidden}, 1);
  return weights;
}

inline std::size_t released_bytes(const Weights& weights) {
  std::size_t total =
      weights.embedding.size_bytes() + weights.norm.size_bytes() + weights.unembedding.size_bytes();
  for (const LayerWeights& layer : weights.layers) {
    for (const tensor::View& view : {layer.attn_norm, layer.sinks, layer.mlp_norm}) {
      total += view.size_bytes();
    }
    for (const Linear& linear : {layer.q, layer.k, layer.v, layer.attn_out, layer.router}) {
      total += linear.weight.size_bytes() + linear.bias.size_bytes();
    }
    for (const ExpertLinear& experts : {layer.gate_up, layer.down}) {
      total += experts.weight.blocks.size_bytes() + experts.weight.scales.size_bytes() +
               experts.bias.size_bytes();
    }
  }
  return total;
}

}  // namespace gossamer::kernels::cuda
