#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "kernels/backend.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::apps {

/// The flags of every command that runs a model.
struct ModelFlags {
  std::string model;  ///< empty: the demo model
  std::string backend = "auto";
  int device = 0;   ///< a CUDA device's ordinal
  int threads = 0;  ///< 0: all cores
  std::string kv_cache_dtype = "auto";
  int context = 0;  ///< 0: the model's, or what fits in memory
};

/// Declares -m, --backend, --device, --threads and --kv-cache-dtype.
void add_model_flags(CLI::App& app, ModelFlags& flags);

/// Declares --context too, for commands that let a sequence grow.
void add_context_flag(CLI::App& app, ModelFlags& flags);

/// A model ready to run. The tokenizer is missing when the checkpoint has none and its vocabulary
/// is not o200k_harmony's: then only token ids go in and out.
struct LoadedModel {
  checkpoint::Checkpoint checkpoint;
  std::optional<tokenizer::Tokenizer> tokenizer;
  std::unique_ptr<kernels::Backend> backend;
  kernels::ResidentWeights resident;  // in the backend
  double load_seconds = 0;

  /// The tokenizer, or the error that says how to do without.
  Result<const tokenizer::Tokenizer*> require_tokenizer() const;
};

/// Makes the backend, opens the model and brings its weights to the backend; warnings go to stderr.
Result<LoadedModel> load_model(const ModelFlags& flags);

/// Tokens that end a text: the config's, and the tokenizer's end-of-text and end-of-turn specials.
std::vector<TokenId> end_tokens(const LoadedModel& model);

}  // namespace gossamer::apps
