#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "api/error.h"

namespace gossamer::api {

/// A model that a server offers.
struct ModelCard {
  std::string id;
  std::int64_t created = 0;  ///< Unix time in seconds
  int context_length = 0;    ///< tokens, prompt and answer together
};

/// The object of GET /v1/models/{id}.
Json model_json(const ModelCard& model);

/// The object of GET /v1/models: OpenAI's list in `data`, and in `models` the catalogue that Codex
/// reads.
Json model_list_json(std::span<const ModelCard> models);

}  // namespace gossamer::api
