#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/config.h"

namespace gossamer::checkpoint {

/// A model of random weights: its numbers, and the seed that decides every weight.
struct SyntheticSpec {
  model::Config config;
  std::uint64_t seed = 0;
};

/// The numbers of the released models.
model::Config config_20b();
model::Config config_120b();

/// What follows "synthetic:" in a MODEL; nothing when it does not start so.
std::optional<std::string_view> synthetic_text(std::string_view model);

/// The keys of a spec and their short names, for people: "num_hidden_layers (layers), ...".
std::string synthetic_keys();

/// Reads "20b", "120b", "20b,layers=2,seed=7" or "layers=2,experts=8,…": a preset (20b unless
/// stated) and changes to it. Keys are the fields of Config and short names for them. Errors
/// (kInvalidArgument) list the keys there are.
Result<SyntheticSpec> parse_synthetic_spec(std::string_view text);

}  // namespace gossamer::checkpoint
