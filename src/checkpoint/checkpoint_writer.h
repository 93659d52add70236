#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "checkpoint/layout.h"
#include "checkpoint/synthetic_spec.h"

namespace gossamer::checkpoint {

/// A safetensors file of a checkpoint: its name, and its tensors in order.
struct FilePlan {
  std::string name;
  std::vector<LayoutTensor> tensors;
};

/// How a model is spread over files: in as many, with such names, as the released models are. A
/// tensor is never split.
std::vector<FilePlan> plan_files(const model::Config& config, Layout layout);

/// How write_synthetic goes about it.
struct WriteOptions {
  Layout layout = Layout::kHuggingFace;
  bool overwrite = false;  ///< replace files that are there
  std::function<void(std::uint64_t bytes_written)> on_progress = [](std::uint64_t) {};
};

/// Writes the checkpoint that "synthetic:SPEC" makes in memory: safetensors files, config.json and,
/// where there are several files, an index. Makes the directory. Weights are made piece by piece,
/// so memory stays small whatever the model. The files get their names when all are whole; a
/// failure leaves none. Errors: kInvalidArgument for files in the way and for numbers that the
/// layout's config.json cannot state, kIo for what the system refuses, a full disk above all.
Status write_synthetic(
    const SyntheticSpec& spec,
    const std::filesystem::path& directory,
    const WriteOptions& options,
    ThreadPool& pool
);

}  // namespace gossamer::checkpoint
