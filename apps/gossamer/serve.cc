#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "apps/gossamer/command.h"
#include "apps/gossamer/engine_setup.h"
#include "apps/gossamer/loaded_model.h"
#include "apps/gossamer/serve_flags.h"
#include "base/available_memory.h"
#include "base/terminal.h"
#include "engine/engine_thread.h"
#include "engine/kv_size.h"
#include "harmony/encoding.h"
#include "server/run.h"

namespace gossamer::apps {
namespace {

constexpr const char* kExamples = R"(
Examples:
  gossamer serve                              the demo model on http://127.0.0.1:8000/v1
  gossamer serve -m gpt-oss-20b/original      a released one
  curl http://127.0.0.1:8000/v1/responses -d '{"input": "What is 27 + 48?"}'

docs/server.md tells what is served, and how to connect clients.)";

// Positions of earlier prompts at which later ones can resume: a few for each of many users.
constexpr int kNumSnapshots = 256;

struct Flags {
  ModelFlags model;
  ServeFlags serve;
  int max_sequences = 64;
  int max_queue = 512;
  std::uint64_t kv_cache_bytes = 0;  ///< 0: what suits
};

/// Names that clients may ask for: the released models go by several.
std::vector<std::string> names_of(const Flags& flags, const LoadedModel& model) {
  if (!flags.serve.names.empty()) return flags.serve.names;
  if (flags.model.model.empty() || flags.model.model == "demo") return {"gossamer-demo"};
  const int layers = model.checkpoint.config().num_hidden_layers;
  if (layers == 24) return {"gpt-oss-20b", "openai/gpt-oss-20b", "gpt-oss:20b"};
  if (layers == 36) return {"gpt-oss-120b", "openai/gpt-oss-120b", "gpt-oss:120b"};
  const auto name = std::filesystem::path(flags.model.model).filename().string();
  return {name.empty() ? flags.model.model : name};
}

/// The most that a KV cache takes of a host's memory when nobody says how much: half of it, and
/// most of what the weights leave. A mapped checkpoint's count as available until they are read.
std::uint64_t most_kv_cache_bytes(std::uint64_t available, std::uint64_t weights) {
  const std::uint64_t left = available - std::min(weights, available);
  return std::clamp(left / 8 * 7, available / 8, available / 2);
}

/// What sequences share for keys and values, on a host.
Result<std::uint64_t> host_kv_cache_bytes(
    const Flags& flags, const LoadedModel& model, const engine::EngineOptions& options
) {
  const auto available = available_memory_bytes();
  if (flags.kv_cache_bytes == 0) {
    const std::uint64_t usual =
        engine::usual_kv_cache_bytes(model.checkpoint.config(), options, model.backend->kv_dtype());
    return available ? std::min(usual, most_kv_cache_bytes(*available, weight_bytes(model)))
                     : usual;
  }
  if (flags.kv_cache_bytes <= available.value_or(flags.kv_cache_bytes)) return flags.kv_cache_bytes;
  return make_error(
      ErrorCode::kOutOfMemory,
      "--kv-cache-bytes {}: {} of memory are available",
      flags.kv_cache_bytes,
      format_bytes(*available)
  );
}

/// On a device the engine gives the KV cache what is free there, unless less was asked for.
Result<engine::EngineOptions> server_options(const Flags& flags, const LoadedModel& model) {
  engine::EngineOptions options = engine_options(flags.model, model, 1);
  options.max_sequences = flags.max_sequences;
  options.max_batch_tokens = std::max(options.max_batch_tokens, flags.max_sequences);
  options.seed = std::random_device()();
  options.num_snapshots = kNumSnapshots;
  options.commits_kv_cache = true;
  if (!model.backend->free_memory_bytes()) {
    GOSSAMER_ASSIGN_OR_RETURN(options.kv_cache_bytes, host_kv_cache_bytes(flags, model, options));
  } else if (flags.kv_cache_bytes > 0) {
    options.kv_cache_bytes = flags.kv_cache_bytes;
  }
  return options;
}

Result<server::ServedModel> load(const Flags& flags) {
  GOSSAMER_ASSIGN_OR_RETURN(LoadedModel loaded, load_model(flags.model));
  GOSSAMER_ASSIGN_OR_RETURN(const auto* tokenizer, loaded.require_tokenizer());
  GOSSAMER_ASSIGN_OR_RETURN(auto encoding, harmony::Encoding::create(*tokenizer));
  auto model = std::make_shared<LoadedModel>(std::move(loaded));
  GOSSAMER_ASSIGN_OR_RETURN(const auto options, server_options(flags, *model));
  GOSSAMER_ASSIGN_OR_RETURN(
      auto engine, make_engine(flags.model, *model, *model->backend, options)
  );
  print_memory(*model, engine->memory());
  const int context_length = engine->longest_sequence();
  return server::ServedModel{
      .names = names_of(flags, *model),
      .encoding = std::move(encoding),
      .memory = model,
      .generator = std::make_unique<engine::EngineThread>(
          std::move(engine), engine::EngineThreadOptions{.max_queue = flags.max_queue}
      ),
      .context_length = context_length,
      .created_at = std::time(nullptr)};
}

Status serve(const Flags& flags) {
  GOSSAMER_ASSIGN_OR_RETURN(const server::RunOptions options, run_options(flags.serve));
  return server::run(
      options,
      [&flags](const std::function<void(double)>&) { return load(flags); },
      run_events(flags.serve)
  );
}

}  // namespace

Command add_serve(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app =
      program.add_subcommand("serve", "An OpenAI-compatible API for many users at once");
  add_model_flags(*app, flags->model);
  add_context_flag(*app, flags->model);
  app->add_option("--max-sequences", flags->max_sequences, "Requests computed together")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app->add_option("--max-queue", flags->max_queue, "Requests that may wait; more are answered 429")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app->add_option(
         "--kv-cache-bytes",
         flags->kv_cache_bytes,
         "Memory for keys and values, taken at the start; when not given, what suits"
  )
      ->check(CLI::PositiveNumber);
  add_serve_flags(*app, flags->serve);
  app->footer(kExamples);
  return {app, [flags] {
            const Status status = serve(*flags);
            return status.ok() ? 0 : fail(status.error().message);
          }};
}

}  // namespace gossamer::apps
