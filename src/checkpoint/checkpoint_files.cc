#include "checkpoint/checkpoint_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <utility>

#include "base/terminal.h"
#include "checkpoint/strict_json.h"

namespace gossamer::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWhatModelIs =
    "MODEL is a directory with config.json and *.safetensors files, or synthetic:20b";
// tokenizer.json, the largest of the text files, takes 28 MB as released.
constexpr std::size_t kMaxTextBytes = 512'000'000;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

/// The *.safetensors entries of a directory, sorted. Hidden ones are unfinished downloads.
Result<std::vector<fs::path>> list_safetensors(const fs::path& directory) {
  std::error_code trouble;
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(directory, trouble), end; !trouble && entry != end;
       entry.increment(trouble)) {
    const fs::path& path = entry->path();
    if (path.extension() == ".safetensors" && path.filename().string()[0] != '.') {
      found.push_back(path);
    }
  }
  if (trouble) {
    return make_error(
        ErrorCode::kIo, "{}: cannot list the directory: {}", directory.string(), trouble.message()
    );
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// The directory that `model` stands for.
Result<fs::path> directory_of(std::string_view model) {
  const fs::path path(model);
  if (!is_there(path)) {
    return make_error(
        ErrorCode::kNotFound, "{}: no such file or directory; {}", model, kWhatModelIs
    );
  }
  if (is_folder(path)) return path;
  if (path.extension() == ".safetensors") {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
  }
  return make_error(
      ErrorCode::kInvalidArgument, "{}: a file, expected a directory; {}", model, kWhatModelIs
  );
}

/// What index files in the directory name, and is not there.
std::vector<std::string> missing_by_index(const fs::path& directory) {
  const auto text = read_text_file(directory / "model.safetensors.index.json");
  if (!text.ok()) return {};
  const auto index = parse_json_object(*text, "index");
  if (!index.ok()) return {};
  const auto map = index->find("weight_map");
  if (map == index->end() || !map->is_object()) return {};
  std::set<std::string> missing;
  for (const auto& file : *map) {
    if (!file.is_string()) continue;
    const auto& name = file.get_ref<const std::string&>();
    if (!is_there(directory / name)) missing.insert(printable(name));
  }
  return {missing.begin(), missing.end()};
}

std::optional<fs::path> find_tokenizer(const fs::path& directory) {
  if (is_there(directory / "tokenizer.json")) return directory / "tokenizer.json";
  // original/ holds weights only; the tokenizer is beside it.
  std::error_code ignored;
  const fs::path absolute = fs::absolute(directory, ignored).lexically_normal();
  const fs::path name = absolute.has_filename() ? absolute : absolute.parent_path();
  const fs::path beside = name.parent_path() / "tokenizer.json";
  if (name.filename() == "original" && is_there(beside)) return beside;
  return std::nullopt;
}

}  // namespace

Result<CheckpointFiles> find_checkpoint_files(std::string_view model) {
  GOSSAMER_ASSIGN_OR_RETURN(fs::path directory, directory_of(model));
  CheckpointFiles files;
  GOSSAMER_ASSIGN_OR_RETURN(files.safetensors, list_safetensors(directory));
  if (files.safetensors.empty() && is_folder(directory / "original")) {
    directory /= "original";
    GOSSAMER_ASSIGN_OR_RETURN(files.safetensors, list_safetensors(directory));
  }
  if (files.safetensors.empty()) {
    return make_error(
        ErrorCode::kNotFound, "{}: no *.safetensors files; {}", directory.string(), kWhatModelIs
    );
  }
  files.config = directory / "config.json";
  if (!is_there(files.config)) {
    return make_error(
        ErrorCode::kNotFound,
        "{}: no such file; a checkpoint's config.json goes beside its *.safetensors files",
        files.config.string()
    );
  }
  files.tokenizer = find_tokenizer(directory);
  files.missing = missing_by_index(directory);
  return files;
}

Result<MappedFile> map_regular_file(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    return make_error(ErrorCode::kInvalidArgument, "{}: not a regular file", path.string());
  }
  return MappedFile::open(path);
}

Result<std::string> read_text_file(const fs::path& path) {
  GOSSAMER_ASSIGN_OR_RETURN(const MappedFile file, map_regular_file(path));
  if (file.bytes().empty()) {
    return make_error(ErrorCode::kCorruptData, "{}: the file is empty", path.string());
  }
  if (file.bytes().size() > kMaxTextBytes) {
    return make_error(
        ErrorCode::kCorruptData,
        "{}: {} long, more than any such file is",
        path.string(),
        format_bytes(file.bytes().size())
    );
  }
  return std::string(
      reinterpret_cast<const char*>(file.bytes().data()),  // NOLINT
      file.bytes().size()
  );
}

}  // namespace gossamer::checkpoint
