#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"

namespace gossamer::checkpoint {

/// The files of a checkpoint on disk.
struct CheckpointFiles {
  std::filesystem::path config;
  std::vector<std::filesystem::path> safetensors;  ///< at least one, sorted
  std::optional<std::filesystem::path> tokenizer;  ///< tokenizer.json, when there is one

  /// Names of files that model.safetensors.index.json speaks of and that are not there. Only a
  /// hint: the index is not needed to read a checkpoint.
  std::vector<std::string> missing;
};

/// Finds the files that a user means: `model` is a directory with a config.json and *.safetensors
/// files, or one whose `original/` has them, or a .safetensors file in such a directory. Errors say
/// what was looked for and what was found instead.
Result<CheckpointFiles> find_checkpoint_files(std::string_view model);

/// Maps a file. Unlike MappedFile::open it never waits: a pipe is refused before it is opened.
Result<MappedFile> map_regular_file(const std::filesystem::path& path);

/// A whole text file. Errors name the file; kCorruptData when it is empty or larger than any file
/// of its kind.
Result<std::string> read_text_file(const std::filesystem::path& path);

}  // namespace gossamer::checkpoint
