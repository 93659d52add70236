#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "engine/engine.h"
#include "kernels/backend.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::apps {

/// The flags of every command that runs a model.
struct ModelFlags {
  std::string model;  ///< empty: the demo model
  std::string backend = "auto";
  int threads = 0;  ///< 0: all cores
  int context = 0;  ///< 0: the model's, or what fits in memory
};

/// Declares -m, --backend and --threads.
void add_model_flags(CLI::App& app, ModelFlags& flags);

/// Declares --context too, for commands that let a sequence grow.
void add_context_flag(CLI::App& app, ModelFlags& flags);

/// A model ready to run. The tokenizer is missing when the checkpoint has none and its vocabulary
/// is not o200k_harmony's: then only token ids go in and out.
struct LoadedModel {
  checkpoint::Checkpoint checkpoint;
  std::optional<tokenizer::Tokenizer> tokenizer;
  std::unique_ptr<kernels::Backend> backend;
  double load_seconds = 0;

  /// The tokenizer, or the error that says how to do without.
  Result<const tokenizer::Tokenizer*> require_tokenizer() const;
};

/// Opens the model and makes the backend; warnings go to stderr.
Result<LoadedModel> load_model(const ModelFlags& flags);

/// The context to run with: what was asked for, or else the model's, shortened to what fits in
/// memory.
Result<int> choose_context(const ModelFlags& flags, const LoadedModel& model, int max_sequences);

/// Tokens that end a text: the config's, and the tokenizer's end-of-text and end-of-turn specials.
std::vector<TokenId> end_tokens(const LoadedModel& model);

}  // namespace gossamer::apps
