#include "checkpoint/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace gossamer::checkpoint {
namespace {

Error system_error(const std::filesystem::path& path, const char* action) {
  const int code = errno;
  return make_error(
      ErrorCode::kIo,
      "{}: cannot {}: {}",
      path.string(),
      action,
      std::generic_category().message(code)
  );
}

/// Makes a rename in the directory last through a power cut.
Status flush_directory(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return system_error(directory, "open");
  const int outcome = ::fsync(descriptor);
  // Some file systems have no fsync of directories, and say EINVAL.
  Status status;
  if (outcome != 0 && errno != EINVAL) status = system_error(directory, "flush");
  ::close(descriptor);
  return status;
}

}  // namespace

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path) {
  std::filesystem::path hidden = path;
  hidden.replace_filename(fmt::format(".{}.partial", path.filename().string()));
  const int descriptor =
      ::open(hidden.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor < 0) return system_error(path, "create");
  return AtomicFile(path, std::move(hidden), descriptor);
}

AtomicFile::AtomicFile(std::filesystem::path path, std::filesystem::path hidden, int descriptor)
    : path_(std::move(path)), hidden_(std::move(hidden)), descriptor_(descriptor) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      hidden_(std::exchange(other.hidden_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(hidden_, other.hidden_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!hidden_.empty()) ::unlink(hidden_.c_str());
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  // Linux writes at most 2 GB a call.
  constexpr std::size_t kMaxWrite = std::size_t{1} << 30U;
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kMaxWrite));
    if (written < 0) {
      if (errno == EINTR) continue;
      return system_error(path_, "write");
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Status AtomicFile::finish() {
  if (::fsync(descriptor_) != 0) return system_error(path_, "flush to the disk");
  if (::close(std::exchange(descriptor_, -1)) != 0) return system_error(path_, "close");
  return {};
}

Status AtomicFile::commit() {
  if (::rename(hidden_.c_str(), path_.c_str()) != 0) return system_error(path_, "rename to");
  hidden_.clear();
  return flush_directory(path_.has_parent_path() ? path_.parent_path() : ".");
}

}  // namespace gossamer::checkpoint
