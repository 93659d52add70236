#include "engine/prompt.h"

namespace gossamer::engine {

Status validate_prompt(const model::Config& config, std::span<const TokenId> tokens) {
  if (tokens.empty()) {
    return make_error(ErrorCode::kInvalidArgument, "the prompt is empty; give at least one token");
  }
  for (const TokenId token : tokens) {
    if (token < static_cast<TokenId>(config.vocab_size)) continue;
    return make_error(
        ErrorCode::kInvalidArgument,
        "token {} is not in this model's vocabulary, 0 to {}",
        token,
        config.vocab_size - 1
    );
  }
  return {};
}

}  // namespace gossamer::engine
