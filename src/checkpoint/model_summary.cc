#include "checkpoint/model_summary.h"

#include <algorithm>

#include "checkpoint/weight_schema.h"

namespace gossamer::checkpoint {
namespace {

PartSize& part_of(ModelSummary& summary, Part part) {
  switch (part) {
    case Part::kEmbedding:
      return summary.embedding;
    case Part::kNorm:
    case Part::kUnembedding:
      return summary.unembedding;
    case Part::kRouterWeight:
    case Part::kRouterBias:
      return summary.router;
    case Part::kMlpNorm:
    case Part::kGateUpBlocks:
    case Part::kGateUpScales:
    case Part::kGateUpBias:
    case Part::kDownBlocks:
    case Part::kDownScales:
    case Part::kDownBias:
      return summary.experts;
    default:
      return summary.attention;
  }
}

std::uint64_t parameters_of(const WeightSpec& spec) {
  const auto elements = static_cast<std::uint64_t>(spec.shape.num_elements());
  if (spec.part == Part::kGateUpBlocks || spec.part == Part::kDownBlocks) return 2 * elements;
  if (spec.part == Part::kGateUpScales || spec.part == Part::kDownScales) return 0;
  return elements;
}

/// The parameters that a token meets in a tensor.
std::uint64_t active_parameters_of(const WeightSpec& spec, const model::Config& config) {
  const std::uint64_t parameters = parameters_of(spec);
  switch (spec.part) {
    case Part::kEmbedding:
      return config.tie_word_embeddings ? parameters : 0;
    case Part::kGateUpBlocks:
    case Part::kGateUpBias:
    case Part::kDownBlocks:
    case Part::kDownBias:
      return parameters / static_cast<std::uint64_t>(config.num_experts) *
             static_cast<std::uint64_t>(config.experts_per_token);
    default:
      return parameters;
  }
}

}  // namespace

ModelSummary summarize(const model::Config& config) {
  ModelSummary summary;
  for (const WeightSpec& spec : weight_schema(config)) {
    for (PartSize* size : {&part_of(summary, spec.part), &summary.total}) {
      size->parameters += parameters_of(spec);
      size->bytes += spec.size_bytes();
    }
    summary.active_parameters += active_parameters_of(spec, config);
  }
  constexpr std::uint64_t kKeyAndValue = 2;
  const std::uint64_t layer_bytes =
      kKeyAndValue * static_cast<std::uint64_t>(config.num_key_value_heads) *
      static_cast<std::uint64_t>(config.head_dim) * tensor::size_of(tensor::DType::kBF16);
  const auto& types = config.layer_types;
  summary.kv_bytes_per_token = layer_bytes * types.size();
  summary.kv_bytes_per_token_beyond_window =
      layer_bytes *
      static_cast<std::uint64_t>(std::count(types.begin(), types.end(), model::LayerType::kFull));
  return summary;
}

}  // namespace gossamer::checkpoint
