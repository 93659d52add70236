#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/sampling_params.h"

namespace gossamer::apps {

/// The flags that say how to choose tokens.
struct SamplingFlags {
  engine::SamplingParams params;
  std::optional<std::uint64_t> seed;
  std::vector<std::string> logit_bias;  // "TOKEN=BIAS"
};

/// Declares -t, --top-p, --top-k, --min-p, --seed, the penalties, --logit-bias and --logprobs.
void add_sampling_flags(CLI::App& app, SamplingFlags& flags);

/// The parameters; an error when a --logit-bias cannot be read.
Result<engine::SamplingParams> sampling_params(const SamplingFlags& flags);

}  // namespace gossamer::apps
