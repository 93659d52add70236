#include "checkpoint/layout.h"

#include <fmt/format.h>

#include <array>

#include "base/check.h"

namespace gossamer::checkpoint {
namespace {

/// What a part is called in each layout. `{}` stands for the layer.
struct PartNames {
  Part part;
  const char* original;
  const char* hugging_face;
};
constexpr std::array kNames = {
    PartNames{Part::kEmbedding, "embedding.weight", "model.embed_tokens.weight"},
    PartNames{
        Part::kAttnNorm, "block.{}.attn.norm.scale", "model.layers.{}.input_layernorm.weight"},
    PartNames{
        Part::kQueryWeight, "block.{}.attn.qkv.weight", "model.layers.{}.self_attn.q_proj.weight"},
    PartNames{Part::kQueryBias, "block.{}.attn.qkv.bias", "model.layers.{}.self_attn.q_proj.bias"},
    PartNames{
        Part::kKeyWeight, "block.{}.attn.qkv.weight", "model.layers.{}.self_attn.k_proj.weight"},
    PartNames{Part::kKeyBias, "block.{}.attn.qkv.bias", "model.layers.{}.self_attn.k_proj.bias"},
    PartNames{
        Part::kValueWeight, "block.{}.attn.qkv.weight", "model.layers.{}.self_attn.v_proj.weight"},
    PartNames{Part::kValueBias, "block.{}.attn.qkv.bias", "model.layers.{}.self_attn.v_proj.bias"},
    PartNames{Part::kSinks, "block.{}.attn.sinks", "model.layers.{}.self_attn.sinks"},
    PartNames{
        Part::kAttnOutWeight,
        "block.{}.attn.out.weight",
        "model.layers.{}.self_attn.o_proj.weight"},
    PartNames{
        Part::kAttnOutBias, "block.{}.attn.out.bias", "model.layers.{}.self_attn.o_proj.bias"},
    PartNames{
        Part::kMlpNorm,
        "block.{}.mlp.norm.scale",
        "model.layers.{}.post_attention_layernorm.weight"},
    PartNames{Part::kRouterWeight, "block.{}.mlp.gate.weight", "model.layers.{}.mlp.router.weight"},
    PartNames{Part::kRouterBias, "block.{}.mlp.gate.bias", "model.layers.{}.mlp.router.bias"},
    PartNames{
        Part::kGateUpBlocks,
        "block.{}.mlp.mlp1_weight.blocks",
        "model.layers.{}.mlp.experts.gate_up_proj_blocks"},
    PartNames{
        Part::kGateUpScales,
        "block.{}.mlp.mlp1_weight.scales",
        "model.layers.{}.mlp.experts.gate_up_proj_scales"},
    PartNames{
        Part::kGateUpBias,
        "block.{}.mlp.mlp1_bias",
        "model.layers.{}.mlp.experts.gate_up_proj_bias"},
    PartNames{
        Part::kDownBlocks,
        "block.{}.mlp.mlp2_weight.blocks",
        "model.layers.{}.mlp.experts.down_proj_blocks"},
    PartNames{
        Part::kDownScales,
        "block.{}.mlp.mlp2_weight.scales",
        "model.layers.{}.mlp.experts.down_proj_scales"},
    PartNames{
        Part::kDownBias, "block.{}.mlp.mlp2_bias", "model.layers.{}.mlp.experts.down_proj_bias"},
    PartNames{Part::kNorm, "norm.scale", "model.norm.weight"},
    PartNames{Part::kUnembedding, "unembedding.weight", "lm_head.weight"},
};

constexpr bool names_are_in_order_of_parts() {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (static_cast<std::size_t>(kNames[i].part) != i) return false;
  }
  return true;
}
static_assert(names_are_in_order_of_parts());

std::string stored_name(const WeightSpec& spec, Layout layout) {
  const PartNames& names = kNames.at(static_cast<std::size_t>(spec.part));
  const char* pattern = layout == Layout::kOriginal ? names.original : names.hugging_face;
  return fmt::format(fmt::runtime(pattern), spec.layer);
}

/// `shape` with more rows on its outermost axis.
tensor::Shape with_more_rows(const tensor::Shape& shape, std::int64_t rows) {
  return shape.rank() == 1 ? tensor::Shape{shape[0] + rows}
                           : tensor::Shape{shape[0] + rows, shape[1]};
}

}  // namespace

std::string_view name_of(Layout layout) {
  switch (layout) {
    case Layout::kOriginal:
      return "original";
    case Layout::kHuggingFace:
      return "Hugging Face";
    case Layout::kSynthetic:
      return "synthetic";
  }
  return "?";
}

std::uint64_t LayoutTensor::size_bytes() const {
  return static_cast<std::uint64_t>(shape.num_elements()) * tensor::size_of(dtype);
}

std::vector<LayoutTensor> layout_tensors(const model::Config& config, Layout layout) {
  GOSSAMER_CHECK(layout != Layout::kSynthetic);
  std::vector<LayoutTensor> tensors;
  const auto find_in_layer = [&](const std::string& name) -> LayoutTensor* {
    constexpr std::size_t kStackedWithin = 4;  // q, k and v: weights and biases alternate
    for (std::size_t back = 1; back <= kStackedWithin && back <= tensors.size(); ++back) {
      LayoutTensor& tensor = tensors[tensors.size() - back];
      if (tensor.name == name) return &tensor;
    }
    return nullptr;
  };
  for (const WeightSpec& spec : weight_schema(config)) {
    std::string name = stored_name(spec, layout);
    if (LayoutTensor* stacked = find_in_layer(name)) {
      stacked->shape = with_more_rows(stacked->shape, spec.shape[0]);
      stacked->parts.push_back(spec);
    } else {
      tensors.push_back({std::move(name), spec.dtype, spec.shape, {spec}});
    }
  }
  return tensors;
}

bool is_named_like(std::string_view tensor_name, Layout layout) {
  const auto starts_with = [&](std::string_view prefix) {
    return tensor_name.substr(0, prefix.size()) == prefix;
  };
  if (layout == Layout::kHuggingFace) return starts_with("model.") || starts_with("lm_head.");
  return starts_with("block.") || starts_with("embedding.") || starts_with("unembedding.") ||
         starts_with("norm.");
}

}  // namespace gossamer::checkpoint
