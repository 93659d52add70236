#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/gossamer/command.h"
#include "base/terminal.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/layout.h"
#include "checkpoint/model_summary.h"
#include "checkpoint/synthetic_spec.h"
#include "tensor/dtype.h"

namespace gossamer::apps {
namespace {

constexpr const char* kExamples = R"(
Reads headers only, so it is quick for any model; --verify reads the MXFP4 scales too.

Examples:
  gossamer inspect /models/gpt-oss-20b
  gossamer inspect /models/gpt-oss-20b --tensors | grep experts
  gossamer inspect synthetic:120b --json | jq .parameters
  gossamer inspect /models/gpt-oss-120b --verify
)";

struct Flags {
  std::string model;
  bool json = false;
  bool tensors = false;
  bool verify = false;
};

/// A line of --tensors.
struct TensorLine {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes;
  std::string file;  // empty for a synthetic model
};

/// Everything to show, read from a checkpoint or, for a synthetic one, computed without making it.
struct Findings {
  model::Config config;
  checkpoint::Layout layout = checkpoint::Layout::kSynthetic;
  std::vector<std::string> files;
  std::vector<TensorLine> tensors;
  std::vector<std::string> warnings;
  bool has_tokenizer = false;
};

Findings findings_of_synthetic(const model::Config& config) {
  Findings found;
  found.config = config;
  for (const auto& tensor : checkpoint::layout_tensors(config, checkpoint::Layout::kHuggingFace)) {
    std::vector<std::int64_t> shape;
    for (int axis = 0; axis < tensor.shape.rank(); ++axis) shape.push_back(tensor.shape[axis]);
    found.tensors.push_back(
        {tensor.name, std::string(tensor::name_of(tensor.dtype)), shape, tensor.size_bytes(), ""}
    );
  }
  return found;
}

Findings findings_of(const checkpoint::Checkpoint& checkpoint) {
  Findings found;
  found.config = checkpoint.config();
  found.layout = checkpoint.layout();
  for (const auto& path : checkpoint.files()) found.files.push_back(path.string());
  for (const auto& [tensor, file] : checkpoint.tensors()) {
    found.tensors.push_back(
        {tensor.name, std::string(tensor.dtype), tensor.shape, tensor.data.size(), file}
    );
  }
  found.warnings = checkpoint.warnings();
  found.has_tokenizer = checkpoint.tokenizer_json().has_value();
  return found;
}

Result<Findings> examine(const Flags& flags) {
  if (const auto text = checkpoint::synthetic_text(flags.model)) {
    GOSSAMER_ASSIGN_OR_RETURN(const auto spec, checkpoint::parse_synthetic_spec(*text));
    return findings_of_synthetic(spec.config);
  }
  GOSSAMER_ASSIGN_OR_RETURN(const auto checkpoint, checkpoint::Checkpoint::open(flags.model));
  if (flags.verify) {
    ThreadPool pool(available_cores());
    GOSSAMER_RETURN_IF_ERROR(checkpoint.verify_scales(pool));
  }
  return findings_of(checkpoint);
}

std::vector<std::pair<const char*, checkpoint::PartSize>> parts_of(
    const checkpoint::ModelSummary& summary
) {
  return {
      {"embedding", summary.embedding},
      {"attention", summary.attention},
      {"router", summary.router},
      {"experts", summary.experts},
      {"unembedding", summary.unembedding},
  };
}

/// "20914757184" as "20,914,757,184".
std::string with_commas(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t place = digits.size(); place > 3; place -= 3) digits.insert(place - 3, 1, ',');
  return digits;
}

void print_line(const char* label, const std::string& text) {
  const bool colour = is_terminal(stdout);
  fmt::print("{} {}\n", styled(fmt::format("{:<14}", label), Style::kBold, colour), text);
}

void print_tensors(const Findings& found) {
  for (const TensorLine& line : found.tensors) {
    fmt::print(
        "{:<58} {:<5} {:<22} {:>10}  {}\n",
        line.name,
        line.dtype,
        fmt::format("[{}]", fmt::join(line.shape, ", ")),
        format_bytes(line.bytes),
        line.file
    );
  }
}

std::string describe_context(const model::Config& config) {
  if (config.rope_scaling_factor <= 1) {
    return fmt::format(
        "{} tokens (plain RoPE)", with_commas(static_cast<std::uint64_t>(config.max_context_length))
    );
  }
  return fmt::format(
      "{} tokens ({} x {} by YaRN)",
      with_commas(static_cast<std::uint64_t>(config.max_context_length)),
      with_commas(static_cast<std::uint64_t>(config.initial_context_length)),
      config.rope_scaling_factor
  );
}

void print_origin(const Findings& found) {
  print_line("layout", std::string(name_of(found.layout)));
  for (const std::string& file : found.files) {
    print_line(&file == &found.files.front() ? "files" : "", file);
  }
  print_line("tokenizer", found.has_tokenizer ? "tokenizer.json" : "none in the checkpoint");
}

void print_shape(const model::Config& config) {
  const auto sliding =
      std::count(config.layer_types.begin(), config.layer_types.end(), model::LayerType::kSliding);
  print_line(
      "layers",
      fmt::format(
          "{}: {} with a sliding window of {}, {} full",
          config.num_hidden_layers,
          sliding,
          config.sliding_window,
          config.num_hidden_layers - sliding
      )
  );
  print_line(
      "heads",
      fmt::format(
          "{} for queries, {} for keys and values, of {}",
          config.num_attention_heads,
          config.num_key_value_heads,
          config.head_dim
      )
  );
  print_line(
      "experts",
      fmt::format("{} a layer, {} of them a token", config.num_experts, config.experts_per_token)
  );
  print_line(
      "widths",
      fmt::format(
          "hidden {}, intermediate {}, vocabulary {}",
          config.hidden_size,
          config.intermediate_size,
          with_commas(static_cast<std::uint64_t>(config.vocab_size))
      )
  );
  print_line("context", describe_context(config));
}

std::string describe_count(std::uint64_t count) {
  return fmt::format("{} ({})", with_commas(count), format_count(count));
}

void print_sizes(const checkpoint::ModelSummary& summary) {
  print_line("parameters", describe_count(summary.total.parameters));
  print_line("active", describe_count(summary.active_parameters) + " for each token");
  print_line(
      "KV cache",
      fmt::format(
          "{} a token in bf16, {} once it has left the window",
          format_bytes(summary.kv_bytes_per_token),
          format_bytes(summary.kv_bytes_per_token_beyond_window)
      )
  );
  const auto print_row = [](const char* name, const checkpoint::PartSize& size) {
    fmt::print(
        "{:<14} {:>12} {:>18}\n", name, format_bytes(size.bytes), with_commas(size.parameters)
    );
  };
  fmt::print("\n{:<14} {:>12} {:>18}\n", "part", "bytes", "parameters");
  for (const auto& [name, size] : parts_of(summary)) print_row(name, size);
  print_row("total", summary.total);
}

nlohmann::ordered_json config_to_json(const model::Config& config) {
  std::vector<std::string> layer_types;
  for (const auto type : config.layer_types) {
    layer_types.emplace_back(type == model::LayerType::kSliding ? "sliding" : "full");
  }
  return {
      {"num_hidden_layers", config.num_hidden_layers},
      {"num_experts", config.num_experts},
      {"experts_per_token", config.experts_per_token},
      {"vocab_size", config.vocab_size},
      {"hidden_size", config.hidden_size},
      {"intermediate_size", config.intermediate_size},
      {"head_dim", config.head_dim},
      {"num_attention_heads", config.num_attention_heads},
      {"num_key_value_heads", config.num_key_value_heads},
      {"sliding_window", config.sliding_window},
      {"initial_context_length", config.initial_context_length},
      {"max_context_length", config.max_context_length},
      {"swiglu_limit", config.swiglu_limit},
      {"rms_norm_eps", config.rms_norm_eps},
      {"rope_theta", config.rope_theta},
      {"rope_scaling_factor", config.rope_scaling_factor},
      {"rope_ntk_alpha", config.rope_ntk_alpha},
      {"rope_ntk_beta", config.rope_ntk_beta},
      {"rope_truncate", config.rope_truncate},
      {"tie_word_embeddings", config.tie_word_embeddings},
      {"layer_types", layer_types},
      {"eos_token_ids", config.eos_token_ids},
  };
}

nlohmann::ordered_json to_json(const Findings& found, bool with_tensors) {
  const auto summary = checkpoint::summarize(found.config);
  nlohmann::ordered_json document = {
      {"layout", name_of(found.layout)},
      {"files", found.files},
      {"has_tokenizer", found.has_tokenizer},
      {"parameters", summary.total.parameters},
      {"active_parameters", summary.active_parameters},
      {"bytes", summary.total.bytes},
      {"kv_bytes_per_token", summary.kv_bytes_per_token},
      {"kv_bytes_per_token_beyond_window", summary.kv_bytes_per_token_beyond_window},
      {"config", config_to_json(found.config)},
      {"warnings", found.warnings},
  };
  for (const auto& [name, size] : parts_of(summary)) {
    document["parts"][name] = {{"parameters", size.parameters}, {"bytes", size.bytes}};
  }
  if (!with_tensors) return document;
  auto& tensors = document["tensors"] = nlohmann::ordered_json::array();
  for (const TensorLine& line : found.tensors) {
    tensors.push_back(
        {{"name", line.name},
         {"dtype", line.dtype},
         {"shape", line.shape},
         {"bytes", line.bytes},
         {"file", line.file}}
    );
  }
  return document;
}

int run_inspect(const Flags& flags) {
  const auto found = examine(flags);
  if (!found.ok()) return fail(found.error().message);
  if (flags.json) {
    fmt::print("{}\n", to_json(*found, flags.tensors).dump(2));
    return 0;
  }
  if (flags.tensors) {
    print_tensors(*found);
  } else {
    print_origin(*found);
    print_shape(found->config);
    print_sizes(checkpoint::summarize(found->config));
  }
  const bool colour = is_terminal(stderr);
  for (const std::string& warning : found->warnings) {
    fmt::print(stderr, "{} {}\n", styled("warning:", Style::kYellow, colour), warning);
  }
  return 0;
}

}  // namespace

Command add_inspect(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app = program.add_subcommand("inspect", "Show what a checkpoint is made of");
  app->add_option("MODEL", flags->model, "A checkpoint's directory, or synthetic:SPEC")->required();
  app->add_flag("--json", flags->json, "Print JSON");
  app->add_flag("--tensors", flags->tensors, "List the tensors");
  app->add_flag("--verify", flags->verify, "Read all MXFP4 scales and check that they are numbers");
  app->footer(kExamples);
  return {app, [flags] { return run_inspect(*flags); }};
}

}  // namespace gossamer::apps
