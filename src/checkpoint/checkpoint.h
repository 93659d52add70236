#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "checkpoint/layout.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/synthetic.h"
#include "model/config.h"
#include "model/weights.h"

namespace gossamer::checkpoint {

/// A safetensors file in memory: a name for errors, and its bytes.
struct MemoryFile {
  std::string name;
  std::span<const std::byte> bytes;
};

/// A loaded model: config, canonical weights over memory that it owns (mapped files, or synthetic
/// buffers), and the text of its tokenizer.json when it has one. Immutable; any thread may read it.
class Checkpoint {
 public:
  /// A tensor as its file has it.
  struct FileTensor {
    StoredTensor tensor;
    std::string file;
  };

  /// Opens what a user wrote for MODEL: a directory in either released layout (recognised, never
  /// asked for), or "synthetic:SPEC" (see synthetic_spec.h). Errors name file, tensor, expected and
  /// found.
  ///
  /// Files are mapped, not read: opening takes the same time whatever the model's size. So the
  /// scales are checked here only when they are few (see verify_scales).
  /// on_progress hears of the making of a synthetic model.
  static Result<Checkpoint> open(std::string_view model, const ProgressCallback& on_progress = {});

  /// The same from files in memory, which must outlive the checkpoint.
  static Result<Checkpoint> from_memory(
      std::string_view config_json,
      const std::vector<MemoryFile>& safetensors,
      std::optional<std::string> tokenizer_json
  );

  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const model::Config& config() const;
  const model::Weights& weights() const;
  Layout layout() const;

  /// The contents of tokenizer.json; nothing when the checkpoint has none.
  const std::optional<std::string>& tokenizer_json() const;

  /// What is odd but not wrong (unknown config keys, unused tensors), a line each.
  const std::vector<std::string>& warnings() const;

  /// The files the tensors are in; empty for a synthetic model or one in memory.
  const std::vector<std::filesystem::path>& files() const;

  /// The tensors of the files, used or not, in order of name; empty for a synthetic model.
  const std::vector<FileTensor>& tensors() const;

  /// Looks for the MXFP4 scale 255, which means "not a number" and would spoil every token after
  /// it. Reads all scales, a thirteenth of a model: about 0.6 GB at 20b, 3.6 GB at 120b. The error
  /// (kCorruptData) names tensor, expert, row and block. Reading is memory-bound; pass a pool to do
  /// it on all cores.
  Status verify_scales(ThreadPool& pool) const;

 private:
  struct State;
  static Result<Checkpoint> open_synthetic(
      std::string_view text, std::string_view model, const ProgressCallback& on_progress
  );
  explicit Checkpoint(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace gossamer::checkpoint
