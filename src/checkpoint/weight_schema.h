#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"
#include "model/weights.h"
#include "tensor/dtype.h"
#include "tensor/view.h"

namespace gossamer::checkpoint {

/// The places of Weights. The ones from kAttnNorm to kDownBias are there once a layer.
enum class Part : std::uint8_t {
  kEmbedding,
  kAttnNorm,
  kQueryWeight,
  kQueryBias,
  kKeyWeight,
  kKeyBias,
  kValueWeight,
  kValueBias,
  kSinks,
  kAttnOutWeight,
  kAttnOutBias,
  kMlpNorm,
  kRouterWeight,
  kRouterBias,
  kGateUpBlocks,
  kGateUpScales,
  kGateUpBias,
  kDownBlocks,
  kDownScales,
  kDownBias,
  kNorm,
  kUnembedding,
};

/// One canonical tensor: where in Weights it belongs, and its type.
struct WeightSpec {
  Part part;
  int layer;  ///< 0 for the parts outside the layers
  tensor::DType dtype;
  tensor::Shape shape;

  std::uint64_t size_bytes() const;
};

/// Every tensor of a model of these (valid) numbers, in the order a forward pass reads them. A tied
/// model has no kUnembedding of its own.
std::vector<WeightSpec> weight_schema(const model::Config& config);

/// The sum of the tensors' sizes.
std::uint64_t payload_bytes(const model::Config& config);

/// The view that a part stands for. `layer` must exist.
tensor::View& slot(model::Weights& weights, Part part, int layer);

}  // namespace gossamer::checkpoint
