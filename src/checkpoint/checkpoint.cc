#include "checkpoint/checkpoint.h"

#include <fmt/ranges.h>

#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/mapped_file.h"
#include "checkpoint/checkpoint_files.h"
#include "checkpoint/config_json.h"
#include "checkpoint/scale_check.h"
#include "checkpoint/strict_json.h"
#include "checkpoint/synthetic.h"
#include "checkpoint/tensor_table.h"
#include "checkpoint/weight_reader.h"
#include "tensor/buffer.h"

namespace gossamer::checkpoint {
namespace {

namespace fs = std::filesystem;

// Below this, looking through all scales takes less time than a file's opening.
constexpr std::uint64_t kFewScaleBytes = 32'000'000;

/// One line for all tensors that nothing used.
std::string unused_warning(const std::vector<std::string>& names) {
  constexpr std::size_t kNamed = 5;
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < names.size() && i < kNamed; ++i) shown.push_back(printable(names[i]));
  return fmt::format(
      "{} {} not used: {}{}",
      names.size(),
      names.size() == 1 ? "tensor is" : "tensors are",
      fmt::join(shown, ", "),
      names.size() > kNamed ? ", ..." : ""
  );
}

}  // namespace

struct Checkpoint::State {
  model::Config config;
  model::Weights weights;
  Layout layout = Layout::kSynthetic;
  std::optional<std::string> tokenizer_json;
  std::vector<std::string> warnings;
  std::vector<fs::path> files;
  std::vector<FileTensor> tensors;
  // What the weights point into.
  std::vector<MappedFile> maps;
  std::vector<std::unique_ptr<tensor::HostBuffer>> buffers;

  /// Reads the config and binds the weights. `directory` names the whole in errors.
  Status bind(
      std::string_view config_json,
      std::string_view config_name,
      const std::vector<MemoryFile>& safetensors,
      const std::vector<std::string>& missing_files,
      std::string_view directory
  );
};

Status Checkpoint::State::bind(
    std::string_view config_json,
    std::string_view config_name,
    const std::vector<MemoryFile>& safetensors,
    const std::vector<std::string>& missing_files,
    std::string_view directory
) {
  const auto in_directory = [&](const Error& error) {
    return make_error(error.code, "{}: {}", directory, error.message);
  };
  GOSSAMER_ASSIGN_OR_RETURN(ParsedConfig parsed, parse_config(config_json, config_name));
  config = std::move(parsed.config);
  warnings = std::move(parsed.warnings);
  TensorTable table;
  for (const MemoryFile& file : safetensors) {
    GOSSAMER_RETURN_IF_ERROR(table.add_file(file.bytes, file.name));
  }
  const auto recognised = recognise_layout(table);
  if (!recognised.ok()) return in_directory(recognised.error());
  layout = *recognised;
  auto bound = read_weights(config, layout, table, missing_files);
  if (!bound.ok()) {
    // Errors about one file name it; one about a tensor that no file has names the directory.
    const bool names_a_file = bound.error().message.rfind("tensor '", 0) != 0;
    return names_a_file ? bound.error() : in_directory(bound.error());
  }
  weights = std::move(*bound);
  if (const auto unused = table.unused(); !unused.empty()) {
    warnings.push_back(unused_warning(unused));
  }
  for (const auto& [name, entry] : table.entries()) tensors.push_back({entry.tensor, entry.file});
  for (auto& copy : table.take_copies()) buffers.push_back(std::move(copy));
  if (scale_bytes(weights) <= kFewScaleBytes) {
    ThreadPool caller_only(1);
    const Status scales = check_scales(weights, caller_only);
    if (!scales.ok()) return in_directory(scales.error());
  }
  return {};
}

Result<Checkpoint> Checkpoint::open_synthetic(
    std::string_view text, std::string_view model, const ProgressCallback& on_progress
) {
  GOSSAMER_ASSIGN_OR_RETURN(const SyntheticSpec spec, parse_synthetic_spec(text));
  ThreadPool pool(available_cores());
  GOSSAMER_ASSIGN_OR_RETURN(
      SyntheticModel made, make_synthetic_model(spec, pool, model, on_progress)
  );
  auto state = std::make_unique<State>();
  state->config = spec.config;
  state->weights = std::move(made.weights);
  state->buffers.push_back(std::move(made.buffer));
  return Checkpoint(std::move(state));
}

Result<Checkpoint> Checkpoint::open(std::string_view model, const ProgressCallback& on_progress) {
  if (const auto text = synthetic_text(model)) return open_synthetic(*text, model, on_progress);
  GOSSAMER_ASSIGN_OR_RETURN(const CheckpointFiles files, find_checkpoint_files(model));
  auto state = std::make_unique<State>();
  std::vector<MemoryFile> contents;
  for (const fs::path& path : files.safetensors) {
    GOSSAMER_ASSIGN_OR_RETURN(MappedFile map, map_regular_file(path));
    contents.push_back({path.string(), map.bytes()});
    state->maps.push_back(std::move(map));
  }
  GOSSAMER_ASSIGN_OR_RETURN(const std::string config_json, read_text_file(files.config));
  if (files.tokenizer) {
    GOSSAMER_ASSIGN_OR_RETURN(state->tokenizer_json, read_text_file(*files.tokenizer));
  }
  state->files = files.safetensors;
  GOSSAMER_RETURN_IF_ERROR(
      state->bind(config_json, files.config.string(), contents, files.missing, model)
  );
  return Checkpoint(std::move(state));
}

Result<Checkpoint> Checkpoint::from_memory(
    std::string_view config_json,
    const std::vector<MemoryFile>& safetensors,
    std::optional<std::string> tokenizer_json
) {
  auto state = std::make_unique<State>();
  state->tokenizer_json = std::move(tokenizer_json);
  GOSSAMER_RETURN_IF_ERROR(state->bind(config_json, "config.json", safetensors, {}, "checkpoint"));
  return Checkpoint(std::move(state));
}

Checkpoint::Checkpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

const model::Config& Checkpoint::config() const {
  return state_->config;
}

const model::Weights& Checkpoint::weights() const {
  return state_->weights;
}

Layout Checkpoint::layout() const {
  return state_->layout;
}

const std::optional<std::string>& Checkpoint::tokenizer_json() const {
  return state_->tokenizer_json;
}

const std::vector<std::string>& Checkpoint::warnings() const {
  return state_->warnings;
}

const std::vector<fs::path>& Checkpoint::files() const {
  return state_->files;
}

const std::vector<Checkpoint::FileTensor>& Checkpoint::tensors() const {
  return state_->tensors;
}

Status Checkpoint::verify_scales(ThreadPool& pool) const {
  return check_scales(state_->weights, pool);
}

}  // namespace gossamer::checkpoint
