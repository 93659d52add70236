#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace gossamer::store {

/// Makes the folder and an empty file if they are missing, and lets only its owner read it: it
/// holds conversations. Errors (kIo): a folder or something else is in its place, or permissions
/// are missing.
Status prepare_database_file(const std::filesystem::path& file);

/// Renames FILE, FILE-wal and FILE-shm to FILE.corrupt-N, FILE.corrupt-N-wal and
/// FILE.corrupt-N-shm, with the first N that is free, so that SQLite's own tools can still open
/// them together. Returns the new name of FILE.
Result<std::filesystem::path> set_database_aside(const std::filesystem::path& file);

}  // namespace gossamer::store
