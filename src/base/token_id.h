#pragma once

#include <cstdint>

namespace gossamer {

/// Index of a token in the vocabulary: a row of the embedding. The one type that the language side
/// and the compute side share.
using TokenId = std::uint32_t;

}  // namespace gossamer
