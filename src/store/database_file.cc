#include "store/database_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace gossamer::store {

namespace {

constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;

std::string reason(int error) {
  return std::generic_category().message(error);
}

Status make_folder(const std::filesystem::path& file) {
  const auto folder = std::filesystem::absolute(file).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return {};
  return make_error(
      ErrorCode::kIo, "{}: cannot make the folder: {}", folder.string(), error.message()
  );
}

std::filesystem::path with_suffix(std::filesystem::path path, const std::string& suffix) {
  path += suffix;
  return path;
}

// The first FILE.corrupt-N that is free, by itself and with SQLite's suffixes.
std::filesystem::path free_name(const std::filesystem::path& file) {
  for (int n = 1;; ++n) {
    auto name = with_suffix(file, fmt::format(".corrupt-{}", n));
    bool taken = false;
    for (const char* suffix : {"", "-wal", "-shm"}) {
      taken = taken || ::access(with_suffix(name, suffix).c_str(), F_OK) == 0;
    }
    if (!taken) return name;
  }
}

}  // namespace

Status prepare_database_file(const std::filesystem::path& file) {
  GOSSAMER_RETURN_IF_ERROR(make_folder(file));
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kOwnerOnly);
  if (descriptor < 0) {
    return make_error(
        ErrorCode::kIo,
        "{}: cannot open for writing: {}; give the response store another file",
        file.string(),
        reason(errno)
    );
  }
  struct stat status {};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  // Someone else's file that we may write stays as it is.
  if (regular) static_cast<void>(::fchmod(descriptor, kOwnerOnly));
  ::close(descriptor);
  if (regular) return {};
  return make_error(
      ErrorCode::kIo, "{}: not a regular file; give the response store another", file.string()
  );
}

Result<std::filesystem::path> set_database_aside(const std::filesystem::path& file) {
  const auto aside = free_name(file);
  // The file itself goes last: SQLite deletes a log that it finds without its database.
  for (const char* suffix : {"-wal", "-shm", ""}) {
    const auto from = with_suffix(file, suffix);
    if (::rename(from.c_str(), with_suffix(aside, suffix).c_str()) != 0 && errno != ENOENT) {
      return make_error(
          ErrorCode::kIo,
          "{}: cannot be set aside as {}: {}",
          from.string(),
          aside.string(),
          reason(errno)
      );
    }
  }
  return aside;
}

}  // namespace gossamer::store
