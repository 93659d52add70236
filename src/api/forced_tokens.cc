#include "api/forced_tokens.h"

#include <algorithm>

namespace gossamer::api {

void ForcedTokens::accept(TokenId /*token*/) {
  if (next_ < tokens_.size()) ++next_;
}

bool ForcedTokens::fill(std::span<std::uint64_t> allowed) const {
  if (next_ == tokens_.size()) return false;
  const TokenId token = tokens_[next_];
  if (token / 64 >= allowed.size()) return false;
  std::fill(allowed.begin(), allowed.end(), 0);
  allowed[token / 64] = std::uint64_t{1} << token % 64;
  return true;
}

}  // namespace gossamer::api
