#include "api/sampling.h"

#include <charconv>
#include <limits>
#include <optional>
#include <string>

namespace gossamer::api {
namespace {

constexpr double kMaxSeed = 9.2e18;

std::optional<TokenId> read_token_id(const std::string& text) {
  TokenId token = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), token);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return token;
}

void read_logit_bias(const ObjectReader& request, engine::SamplingParams& params) {
  const Json* biases = request.object("logit_bias");
  if (biases == nullptr) return;
  const ObjectReader reader(*biases, request.path_of("logit_bias"), request.error());
  for (const auto& [key, unused] : biases->items()) {
    const auto token = read_token_id(key);
    if (!token) {
      reader.fail(key, "a token id is a whole number");
    } else if (const auto bias = reader.number(key, {-100, 100})) {
      params.logit_bias.emplace_back(*token, *bias);
    }
  }
}

}  // namespace

engine::SamplingParams read_sampling(const ObjectReader& request) {
  engine::SamplingParams params;
  const auto read = [&](std::string_view key, NumberRange range, double& value) {
    value = request.number(key, range).value_or(value);
  };
  read("temperature", {0, 2}, params.temperature);
  read("top_p", {0, 1}, params.top_p);
  read("min_p", {0, 1}, params.min_p);
  read("repetition_penalty", {0.01, 100}, params.repetition_penalty);
  read("frequency_penalty", {-2, 2}, params.frequency_penalty);
  read("presence_penalty", {-2, 2}, params.presence_penalty);
  params.top_k = static_cast<int>(request.integer("top_k", {-1, 1e9}).value_or(0));
  if (params.top_k < 0) params.top_k = 0;  // other servers' way to say "all"
  params.top_logprobs = static_cast<int>(request.integer("top_logprobs", {0, 20}).value_or(0));
  if (const auto seed = request.integer("seed", {-kMaxSeed, kMaxSeed})) {
    params.seed = static_cast<std::uint64_t>(*seed);
  }
  read_logit_bias(request, params);
  return params;
}

}  // namespace gossamer::api
