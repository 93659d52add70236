#pragma once

#include <cstdint>
#include <span>

#include "base/token_id.h"

namespace gossamer::engine {

/// Says which tokens may come next in one sequence: a grammar's hold on the sampler. One object a
/// sequence; called from the engine's thread only.
class TokenMask {
 public:
  virtual ~TokenMask() = default;

  /// Follows a token that was sampled. The prompt is not replayed here: a mask is made for the
  /// state that the prompt ends in.
  virtual void accept(TokenId token) = 0;

  /// Writes what may come next: bit i % 64 of allowed[i / 64] is 1 when token i may. Returns false,
  /// and leaves `allowed` as it was, when every token may.
  virtual bool fill(std::span<std::uint64_t> allowed) const = 0;
};

}  // namespace gossamer::engine
