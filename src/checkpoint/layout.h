#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/weight_schema.h"
#include "model/config.h"

namespace gossamer::checkpoint {

/// Where a checkpoint's tensors came from.
enum class Layout : std::uint8_t { kOriginal, kHuggingFace, kSynthetic };

/// "original", "Hugging Face", "synthetic"
std::string_view name_of(Layout layout);

/// A tensor as a layout stores it: canonical tensors stacked along the outermost axis. Only the
/// original layout stacks, and only the query, key and value projections.
struct LayoutTensor {
  std::string name;
  tensor::DType dtype;
  tensor::Shape shape;
  std::vector<WeightSpec> parts;  ///< at least one

  std::uint64_t size_bytes() const;
};

/// The tensors that a layout (kOriginal or kHuggingFace) keeps a model in. The two differ in names
/// and in the stacking; values, RoPE order and MXFP4 packing are the same.
std::vector<LayoutTensor> layout_tensors(const model::Config& config, Layout layout);

/// True when a layout has tensors named like this.
bool is_named_like(std::string_view tensor_name, Layout layout);

}  // namespace gossamer::checkpoint
