#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/token_id.h"
#include "engine/token_mask.h"

namespace gossamer::api {

/// Lets given tokens come, one after the other, and then any: so a generator, which reports the
/// log-probability of what it samples, scores a text.
class ForcedTokens final : public engine::TokenMask {
 public:
  explicit ForcedTokens(std::vector<TokenId> tokens) : tokens_(std::move(tokens)) {}

  void accept(TokenId token) override;
  bool fill(std::span<std::uint64_t> allowed) const override;

 private:
  std::vector<TokenId> tokens_;
  std::size_t next_ = 0;
};

}  // namespace gossamer::api
