#include "checkpoint/checkpoint_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>
#include <utility>

#include "base/terminal.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/config_json.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/synthetic.h"

namespace gossamer::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndexName = "model.safetensors.index.json";

/// The number of files the layout has for a payload. The released ones: Hugging Face 3 and 15,
/// original 1 and 7.
std::size_t number_of_files(std::uint64_t payload, Layout layout) {
  constexpr std::uint64_t kHuggingFaceFile = 4'600'000'000;
  constexpr std::uint64_t kOriginalFile = 10'000'000'000;
  constexpr std::uint64_t kOriginalSingleFile = 2 * kOriginalFile;
  const auto in_files_of = [&](std::uint64_t bytes) { return (payload + bytes - 1) / bytes; };
  if (layout == Layout::kHuggingFace) return in_files_of(kHuggingFaceFile);
  return payload <= kOriginalSingleFile ? 1 : in_files_of(kOriginalFile);
}

/// Hugging Face's numbers run from 0 and end with the last; the original's run from 1.
std::string file_name(std::size_t index, std::size_t count, Layout layout) {
  if (count == 1) return "model.safetensors";
  if (layout == Layout::kHuggingFace) {
    return fmt::format("model-{:05}-of-{:05}.safetensors", index, count - 1);
  }
  return fmt::format("model--{:05}-of-{:05}.safetensors", index + 1, count);
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string index_json(const std::vector<FilePlan>& plan) {
  nlohmann::ordered_json map = nlohmann::ordered_json::object();
  std::uint64_t total = 0;
  for (const FilePlan& file : plan) {
    for (const LayoutTensor& tensor : file.tensors) {
      map[tensor.name] = file.name;
      total += tensor.size_bytes();
    }
  }
  const nlohmann::ordered_json index = {
      {"metadata", {{"total_size", total}}}, {"weight_map", std::move(map)}};
  return index.dump(2) + "\n";
}

/// Refuses what would spoil files that are there, or be spoiled by them.
Status check_directory(
    const fs::path& directory, const std::vector<std::string>& names, bool overwrite
) {
  std::error_code trouble;
  fs::create_directories(directory, trouble);
  for (fs::directory_iterator entry(directory, trouble), end; !trouble && entry != end;
       entry.increment(trouble)) {
    const fs::path& path = entry->path();
    const bool ours = std::count(names.begin(), names.end(), path.filename().string()) != 0;
    if (ours && !overwrite) {
      return make_error(
          ErrorCode::kInvalidArgument,
          "{}: the file exists; choose another directory, or overwrite with --force",
          path.string()
      );
    }
    if (!ours && path.extension() == ".safetensors") {
      return make_error(
          ErrorCode::kInvalidArgument,
          "{}: in the way; the *.safetensors files of a directory are read as one checkpoint",
          path.string()
      );
    }
  }
  if (trouble) {
    return make_error(
        ErrorCode::kIo, "{}: cannot use the directory: {}", directory.string(), trouble.message()
    );
  }
  return {};
}

Status check_space(const fs::path& directory, std::uint64_t needed) {
  std::error_code trouble;
  const fs::space_info space = fs::space(directory, trouble);
  if (trouble || needed <= space.available) return {};
  return make_error(
      ErrorCode::kIo,
      "{}: needs {}, and the disk has {} free",
      directory.string(),
      format_bytes(needed),
      format_bytes(space.available)
  );
}

/// Writes the files of one checkpoint, and names them when all are whole.
class SyntheticWriter {
 public:
  SyntheticWriter(
      const SyntheticSpec& spec, fs::path directory, const WriteOptions& options, ThreadPool& pool
  )
      : spec_(spec),
        directory_(std::move(directory)),
        options_(options),
        pool_(pool),
        piece_(kPieceBytes) {}

  Status write_text(const std::string& name, const std::string& text) {
    GOSSAMER_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(directory_ / name));
    GOSSAMER_RETURN_IF_ERROR(file.write(bytes_of(text)));
    return keep(std::move(file));
  }

  Status write_tensors(const FilePlan& plan) {
    GOSSAMER_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(directory_ / plan.name));
    std::vector<TensorHeading> headings;
    for (const LayoutTensor& tensor : plan.tensors) {
      TensorHeading heading{tensor.name, tensor::name_of(tensor.dtype), {}};
      for (int axis = 0; axis < tensor.shape.rank(); ++axis) {
        heading.shape.push_back(tensor.shape[axis]);
      }
      headings.push_back(std::move(heading));
    }
    GOSSAMER_RETURN_IF_ERROR(file.write(bytes_of(safetensors_header(headings))));
    for (const LayoutTensor& tensor : plan.tensors) {
      for (const WeightSpec& part : tensor.parts) {
        GOSSAMER_RETURN_IF_ERROR(write_part(part, file));
      }
    }
    return keep(std::move(file));
  }

  Status commit() {
    for (AtomicFile& file : whole_) GOSSAMER_RETURN_IF_ERROR(file.commit());
    return {};
  }

 private:
  // Large enough to keep all threads busy, small beside any machine's memory.
  static constexpr std::size_t kPieceBytes = 32 << 20;

  Status write_part(const WeightSpec& part, AtomicFile& file) {
    const WeightGenerator generator(part, spec_.config, spec_.seed);
    const std::uint64_t size = part.size_bytes();
    for (std::uint64_t offset = 0; offset < size; offset += kPieceBytes) {
      const std::span<std::byte> piece(
          piece_.data(), std::min<std::uint64_t>(kPieceBytes, size - offset)
      );
      generate_in_parallel(generator, offset, piece, pool_);
      GOSSAMER_RETURN_IF_ERROR(file.write(piece));
      bytes_written_ += piece.size();
      options_.on_progress(bytes_written_);
    }
    return {};
  }

  Status keep(AtomicFile file) {
    GOSSAMER_RETURN_IF_ERROR(file.finish());
    whole_.push_back(std::move(file));
    return {};
  }

  const SyntheticSpec& spec_;
  fs::path directory_;
  const WriteOptions& options_;
  ThreadPool& pool_;
  std::vector<std::byte> piece_;
  std::uint64_t bytes_written_ = 0;
  std::vector<AtomicFile> whole_;
};

/// The config.json of a layout, when it can say everything about the model.
Result<std::string> config_text(const model::Config& config, Layout layout) {
  std::string text =
      layout == Layout::kOriginal ? to_original_json(config) : to_hugging_face_json(config);
  GOSSAMER_ASSIGN_OR_RETURN(const ParsedConfig read_back, parse_config(text, "config.json"));
  if (read_back.config == config) return text;
  return make_error(
      ErrorCode::kInvalidArgument,
      "the {} layout's config.json has no key for some of these numbers (rms_norm_eps, a context "
      "other than initial_context * rope_factor); write the Hugging Face layout (--layout hf)",
      name_of(layout)
  );
}

}  // namespace

std::vector<FilePlan> plan_files(const model::Config& config, Layout layout) {
  const std::uint64_t payload = payload_bytes(config);
  const std::size_t count = number_of_files(payload, layout);
  std::vector<FilePlan> plan;
  for (std::size_t index = 0; index < count; ++index) {
    plan.push_back({file_name(index, count, layout), {}});
  }
  // A tensor goes to the file that its middle falls in, when all have the same size.
  std::uint64_t before = 0;
  for (LayoutTensor& tensor : layout_tensors(config, layout)) {
    const std::uint64_t size = tensor.size_bytes();
    const double middle = (static_cast<double>(before) + static_cast<double>(size) / 2) /
                          static_cast<double>(payload);
    const auto index = static_cast<std::size_t>(middle * static_cast<double>(count));
    plan[std::min(index, count - 1)].tensors.push_back(std::move(tensor));
    before += size;
  }
  return plan;
}

Status write_synthetic(
    const SyntheticSpec& spec,
    const fs::path& directory,
    const WriteOptions& options,
    ThreadPool& pool
) {
  GOSSAMER_ASSIGN_OR_RETURN(const std::string config, config_text(spec.config, options.layout));
  const std::vector<FilePlan> plan = plan_files(spec.config, options.layout);
  std::vector<std::string> names = {"config.json", kIndexName};
  for (const FilePlan& file : plan) names.push_back(file.name);
  GOSSAMER_RETURN_IF_ERROR(check_directory(directory, names, options.overwrite));
  GOSSAMER_RETURN_IF_ERROR(check_space(directory, payload_bytes(spec.config)));
  SyntheticWriter writer(spec, directory, options, pool);
  for (const FilePlan& file : plan) GOSSAMER_RETURN_IF_ERROR(writer.write_tensors(file));
  if (plan.size() > 1) GOSSAMER_RETURN_IF_ERROR(writer.write_text(kIndexName, index_json(plan)));
  GOSSAMER_RETURN_IF_ERROR(writer.write_text("config.json", config));
  return writer.commit();
}

}  // namespace gossamer::checkpoint
