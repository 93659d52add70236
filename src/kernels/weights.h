#pragma once

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

}  // namespace gossamer::kernels
