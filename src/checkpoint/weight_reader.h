#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/layout.h"
#include "checkpoint/tensor_table.h"
#include "model/config.h"
#include "model/weights.h"

namespace gossamer::checkpoint {

/// The layout that a checkpoint's tensor names are of. kUnsupported when they are of none.
Result<Layout> recognise_layout(const TensorTable& table);

/// The canonical view of a model over the tensors of its files. Errors name the tensor: missing
/// ones with what is there instead, wrong ones with both types. `missing_files` are files known to
/// be absent, the likely reason of a missing tensor.
Result<model::Weights> read_weights(
    const model::Config& config,
    Layout layout,
    TensorTable& table,
    const std::vector<std::string>& missing_files
);

}  // namespace gossamer::checkpoint
