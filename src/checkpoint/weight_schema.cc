#include "checkpoint/weight_schema.h"

#include <cstddef>

#include "base/check.h"
#include "tensor/mxfp4.h"

namespace gossamer::checkpoint {
namespace {

using tensor::DType;
using tensor::Shape;

void append_layer(const model::Config& config, int layer, std::vector<WeightSpec>& specs) {
  const auto add = [&](Part part, DType dtype, Shape shape) {
    specs.push_back({part, layer, dtype, shape});
  };
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t q_rows = std::int64_t{config.num_attention_heads} * config.head_dim;
  const std::int64_t kv_rows = std::int64_t{config.num_key_value_heads} * config.head_dim;
  const std::int64_t experts = config.num_experts;
  const std::int64_t gate_up_rows = 2 * std::int64_t{config.intermediate_size};
  const std::int64_t hidden_blocks = hidden / tensor::kMxfp4BlockValues;
  const std::int64_t intermediate_blocks = config.intermediate_size / tensor::kMxfp4BlockValues;
  constexpr std::int64_t kBytes = tensor::kMxfp4BlockBytes;

  add(Part::kAttnNorm, DType::kBF16, {hidden});
  add(Part::kQueryWeight, DType::kBF16, {q_rows, hidden});
  add(Part::kQueryBias, DType::kBF16, {q_rows});
  add(Part::kKeyWeight, DType::kBF16, {kv_rows, hidden});
  add(Part::kKeyBias, DType::kBF16, {kv_rows});
  add(Part::kValueWeight, DType::kBF16, {kv_rows, hidden});
  add(Part::kValueBias, DType::kBF16, {kv_rows});
  add(Part::kSinks, DType::kBF16, {config.num_attention_heads});
  add(Part::kAttnOutWeight, DType::kBF16, {hidden, q_rows});
  add(Part::kAttnOutBias, DType::kBF16, {hidden});
  add(Part::kMlpNorm, DType::kBF16, {hidden});
  add(Part::kRouterWeight, DType::kBF16, {experts, hidden});
  add(Part::kRouterBias, DType::kBF16, {experts});
  add(Part::kGateUpBlocks, DType::kU8, {experts, gate_up_rows, hidden_blocks, kBytes});
  add(Part::kGateUpScales, DType::kU8, {experts, gate_up_rows, hidden_blocks});
  add(Part::kGateUpBias, DType::kBF16, {experts, gate_up_rows});
  add(Part::kDownBlocks, DType::kU8, {experts, hidden, intermediate_blocks, kBytes});
  add(Part::kDownScales, DType::kU8, {experts, hidden, intermediate_blocks});
  add(Part::kDownBias, DType::kBF16, {experts, hidden});
}

}  // namespace

std::uint64_t WeightSpec::size_bytes() const {
  return static_cast<std::uint64_t>(shape.num_elements()) * tensor::size_of(dtype);
}

std::vector<WeightSpec> weight_schema(const model::Config& config) {
  const Shape vocab_by_hidden = {config.vocab_size, config.hidden_size};
  std::vector<WeightSpec> specs;
  specs.push_back({Part::kEmbedding, 0, DType::kBF16, vocab_by_hidden});
  for (int layer = 0; layer < config.num_hidden_layers; ++layer) {
    append_layer(config, layer, specs);
  }
  specs.push_back({Part::kNorm, 0, DType::kBF16, {config.hidden_size}});
  if (!config.tie_word_embeddings) {
    specs.push_back({Part::kUnembedding, 0, DType::kBF16, vocab_by_hidden});
  }
  return specs;
}

std::uint64_t payload_bytes(const model::Config& config) {
  std::uint64_t bytes = 0;
  for (const WeightSpec& spec : weight_schema(config)) bytes += spec.size_bytes();
  return bytes;
}

tensor::View& slot(model::Weights& weights, Part part, int layer) {
  if (part == Part::kEmbedding) return weights.embedding;
  if (part == Part::kNorm) return weights.norm;
  if (part == Part::kUnembedding) return weights.unembedding;
  model::LayerWeights& at = weights.layers.at(static_cast<std::size_t>(layer));
  switch (part) {
    case Part::kAttnNorm:
      return at.attn_norm;
    case Part::kQueryWeight:
      return at.q.weight;
    case Part::kQueryBias:
      return at.q.bias;
    case Part::kKeyWeight:
      return at.k.weight;
    case Part::kKeyBias:
      return at.k.bias;
    case Part::kValueWeight:
      return at.v.weight;
    case Part::kValueBias:
      return at.v.bias;
    case Part::kSinks:
      return at.sinks;
    case Part::kAttnOutWeight:
      return at.attn_out.weight;
    case Part::kAttnOutBias:
      return at.attn_out.bias;
    case Part::kMlpNorm:
      return at.mlp_norm;
    case Part::kRouterWeight:
      return at.router.weight;
    case Part::kRouterBias:
      return at.router.bias;
    case Part::kGateUpBlocks:
      return at.gate_up.weight.blocks;
    case Part::kGateUpScales:
      return at.gate_up.weight.scales;
    case Part::kGateUpBias:
      return at.gate_up.bias;
    case Part::kDownBlocks:
      return at.down.weight.blocks;
    case Part::kDownScales:
      return at.down.weight.scales;
    case Part::kDownBias:
      return at.down.bias;
    default:
      GOSSAMER_CHECK(false);
  }
}

}  // namespace gossamer::checkpoint
