#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/thread_pool.h"
#include "model/weights.h"

namespace gossamer::checkpoint {

/// The bytes of MXFP4 scales that a model has.
std::uint64_t scale_bytes(const model::Weights& weights);

/// Finds an MXFP4 scale of 255, E8M0's "not a number". The error (kCorruptData) names layer,
/// matrix, expert, row and block of the first one.
Status check_scales(const model::Weights& weights, ThreadPool& pool);

}  // namespace gossamer::checkpoint
