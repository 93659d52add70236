#include "apps/gossamer/sampling_flags.h"

#include <charconv>
#include <cstdlib>

namespace gossamer::apps {
namespace {

Result<std::pair<TokenId, double>> parse_bias(const std::string& text) {
  const std::size_t equals = text.find('=');
  TokenId token = 0;
  const char* const name_end = text.data() + std::min(equals, text.size());
  const auto [next, error] = std::from_chars(text.data(), name_end, token);
  char* value_end = nullptr;
  const char* const value = equals == std::string::npos ? "" : text.c_str() + equals + 1;
  const double bias = std::strtod(value, &value_end);
  if (error != std::errc() || next != name_end || value_end == value || *value_end != '\0') {
    return make_error(
        ErrorCode::kInvalidArgument,
        "--logit-bias takes TOKEN=BIAS, such as 42=-5; got \"{}\"",
        text
    );
  }
  return std::pair<TokenId, double>{token, bias};
}

}  // namespace

void add_sampling_flags(CLI::App& app, SamplingFlags& flags) {
  engine::SamplingParams& params = flags.params;
  app.add_option(
         "-t,--temperature",
         params.temperature,
         "0: always the likeliest token; 1: as the model says"
  )
      ->capture_default_str();
  app.add_option(
         "--top-p", params.top_p, "Keep the likeliest tokens that together reach this share"
  )
      ->capture_default_str();
  app.add_option("--top-k", params.top_k, "Keep the k likeliest tokens; 0: all")
      ->capture_default_str();
  app.add_option("--min-p", params.min_p, "Drop tokens less likely than this times the likeliest")
      ->capture_default_str();
  app.add_option("--seed", flags.seed, "Same seed, same output; random when not given");
  app.add_option(
         "--repetition-penalty",
         params.repetition_penalty,
         "Shrinks tokens already in the text; 1: off"
  )
      ->capture_default_str();
  app.add_option(
         "--frequency-penalty", params.frequency_penalty, "Subtracted for each time in the output"
  )
      ->capture_default_str();
  app.add_option(
         "--presence-penalty", params.presence_penalty, "Subtracted once for being in the output"
  )
      ->capture_default_str();
  app.add_option("--logit-bias", flags.logit_bias, "Adds to a token's logit; may be repeated")
      ->type_name("TOKEN=BIAS");
  app.add_option(
         "--logprobs", params.top_logprobs, "With --json: list the N likeliest at each token"
  )
      ->type_name("N");
}

Result<engine::SamplingParams> sampling_params(const SamplingFlags& flags) {
  engine::SamplingParams params = flags.params;
  params.seed = flags.seed;
  for (const std::string& text : flags.logit_bias) {
    GOSSAMER_ASSIGN_OR_RETURN(const auto bias, parse_bias(text));
    params.logit_bias.push_back(bias);
  }
  return params;
}

}  // namespace gossamer::apps
