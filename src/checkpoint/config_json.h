#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/config.h"

namespace gossamer::checkpoint {

/// A config.json that was read: its numbers, and what in it is odd but not wrong, a line each.
struct ParsedConfig {
  model::Config config;
  std::vector<std::string> warnings;
};

/// Reads a config.json, with the keys of the original layout or of Hugging Face's (recognised).
/// A key that is absent takes the value that upstream would give it: the 120b's. `where` names the
/// file in errors: kCorruptData for bad JSON and wrong types, kInvalidArgument for numbers that no
/// model can have, kUnsupported for models of another kind.
Result<ParsedConfig> parse_config(std::string_view json, std::string_view where);

/// The text of a config.json in each layout's keys, which parse_config reads back.
/// The original layout has no words for layer types, end tokens, tied embeddings, another
/// rms_norm_eps or truncation: it drops them.
std::string to_original_json(const model::Config& config);
std::string to_hugging_face_json(const model::Config& config);

}  // namespace gossamer::checkpoint
