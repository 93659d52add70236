#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "base/result.h"

namespace gossamer {

/// A file mapped read-only into memory for as long as the object lives. Movable, not copyable.
/// Safe to read from any thread.
class MappedFile {
 public:
  /// Maps a regular file. Errors name the path and the system's reason. An empty file gives an
  /// empty span.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

}  // namespace gossamer
