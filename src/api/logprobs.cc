#include "api/logprobs.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "tokenizer/utf8.h"

namespace gossamer::api {
namespace {

// JSON has no infinity; this is what OpenAI writes for tokens that cannot come.
constexpr double kLowest = -9999.0;

Json token_json(TokenId token, double logprob, const tokenizer::Tokenizer& tokenizer) {
  const auto decoded = tokenizer.decode_bytes({&token, 1});
  const std::string text = decoded.ok() ? *decoded : std::string();
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {
      {"token", tokenizer::replace_invalid_utf8(text)},
      {"bytes", std::move(bytes)},
      {"logprob", std::isnan(logprob) ? kLowest : std::max(logprob, kLowest)}};
}

}  // namespace

Json logprobs_json(
    std::span<const engine::SampledToken> tokens, const tokenizer::Tokenizer& tokenizer
) {
  Json list = Json::array();
  for (const engine::SampledToken& sampled : tokens) {
    Json entry = token_json(sampled.token, sampled.logprob, tokenizer);
    entry["top_logprobs"] = Json::array();
    for (const engine::TokenLogprob& top : sampled.top) {
      entry["top_logprobs"].push_back(token_json(top.token, top.logprob, tokenizer));
    }
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace gossamer::api
