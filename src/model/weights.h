#pragma once

#include "kernels/weights.h"

namespace gossamer::model {

using kernels::LayerWeights;
using kernels::Weights;

}  // namespace gossamer::model
