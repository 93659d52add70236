#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "base/result.h"

namespace gossamer::checkpoint {

/// A file that appears under its name only once it is whole: written beside it under a hidden name,
/// flushed to the disk, then renamed. Destroying it before `commit` leaves nothing behind. One
/// thread at a time. Errors (kIo) name the path and the system's reason.
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::filesystem::path& path);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// Appends bytes.
  Status write(std::span<const std::byte> bytes);

  /// Flushes to the disk and closes; nothing can be written after.
  Status finish();

  /// Gives the file its name, replacing one that has it. After `finish`.
  Status commit();

  const std::filesystem::path& path() const { return path_; }

 private:
  AtomicFile(std::filesystem::path path, std::filesystem::path hidden, int descriptor);

  std::filesystem::path path_;
  std::filesystem::path hidden_;  // empty once renamed
  int descriptor_ = -1;           // -1 once closed
};

}  // namespace gossamer::checkpoint
