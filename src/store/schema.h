#pragma once

#include <filesystem>

#include "base/result.h"
#include "store/sqlite.h"

namespace gossamer::store {

/// Opens the file (empty: memory) and makes sure that it is a response store: a new one gets its
/// tables, any other is read through once. Errors: kCorruptData where the file is damaged, or is
/// something else's, or of a version that this program does not know; kIo, kBusy otherwise.
Result<Connection> open_response_database(const std::filesystem::path& file);

}  // namespace gossamer::store
