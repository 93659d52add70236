#include "apps/gossamer/loaded_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/available_memory.h"
#include "base/stopwatch.h"
#include "base/terminal.h"
#include "base/thread_pool.h"
#include "demo_model/demo_model.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/reference/reference_backend.h"

namespace gossamer::apps {
namespace {

// Ids of o200k_harmony that a model must be able to embed: through <|call|>.
constexpr int kHarmonyVocabSize = 200013;

Result<checkpoint::Checkpoint> open_model(const std::string& name) {
  if (name.empty() || name == "demo") return demo_model::open();
  std::optional<Progress> progress;
  return checkpoint::Checkpoint::open(name, [&](std::uint64_t done, std::uint64_t total) {
    if (!progress) progress.emplace("making random weights", total);
    progress->update(done);
  });
}

Result<std::optional<tokenizer::Tokenizer>> choose_tokenizer(
    const checkpoint::Checkpoint& checkpoint, const std::string& name
) {
  using tokenizer::Tokenizer;
  if (checkpoint.tokenizer_json()) {
    GOSSAMER_ASSIGN_OR_RETURN(
        auto tokenizer, Tokenizer::from_json(*checkpoint.tokenizer_json(), name + "/tokenizer.json")
    );
    return std::optional<Tokenizer>(std::move(tokenizer));
  }
  if (checkpoint.config().vocab_size < kHarmonyVocabSize) return std::optional<Tokenizer>();
  GOSSAMER_ASSIGN_OR_RETURN(auto tokenizer, Tokenizer::o200k_harmony());
  return std::optional<Tokenizer>(std::move(tokenizer));
}

std::unique_ptr<kernels::Backend> make_backend(const ModelFlags& flags) {
  if (flags.backend == "reference") {
    return std::make_unique<kernels::reference::ReferenceBackend>();
  }
  const int threads = flags.threads > 0 ? flags.threads : available_cores();
  return std::make_unique<kernels::cpu::CpuBackend>(threads);
}

}  // namespace

void add_model_flags(CLI::App& app, ModelFlags& flags) {
  app.add_option(
         "-m,--model",
         flags.model,
         "Checkpoint folder, or synthetic:20b and the like; the demo model when not given"
  )
      ->type_name("MODEL");
  app.add_option("--backend", flags.backend, "reference (double precision, slow), cpu, or auto")
      ->check(CLI::IsMember({"reference", "cpu", "auto"}))
      ->capture_default_str();
  app.add_option("--threads", flags.threads, "CPU threads; all cores when not given")
      ->check(CLI::Range(1, 1024));
}

void add_context_flag(CLI::App& app, ModelFlags& flags) {
  app.add_option(
         "--context",
         flags.context,
         "Longest prompt and answer together, in tokens; when not given the model's, or what fits "
         "in memory"
  )
      ->check(CLI::PositiveNumber);
}

Result<const tokenizer::Tokenizer*> LoadedModel::require_tokenizer() const {
  if (tokenizer) return &*tokenizer;
  return make_error(
      ErrorCode::kUnsupported,
      "this checkpoint has no tokenizer.json, and its vocabulary of {} is not o200k_harmony's; "
      "give the prompt as "
      "--tokens 1,2,3",
      checkpoint.config().vocab_size
  );
}

Result<LoadedModel> load_model(const ModelFlags& flags) {
  const Stopwatch load_time;
  GOSSAMER_ASSIGN_OR_RETURN(auto checkpoint, open_model(flags.model));
  GOSSAMER_ASSIGN_OR_RETURN(auto tokenizer, choose_tokenizer(checkpoint, flags.model));
  if (checkpoint.layout() != checkpoint::Layout::kSynthetic) {
    ThreadPool pool(flags.threads > 0 ? flags.threads : available_cores());
    GOSSAMER_RETURN_IF_ERROR(checkpoint.verify_scales(pool));
  }
  for (const std::string& warning : checkpoint.warnings()) {
    fmt::print(stderr, "{} {}\n", styled("warning:", Style::kYellow, is_terminal(stderr)), warning);
  }
  LoadedModel model{std::move(checkpoint), std::move(tokenizer), make_backend(flags)};
  model.load_seconds = load_time.seconds();
  return model;
}

Result<int> choose_context(const ModelFlags& flags, const LoadedModel& model, int max_sequences) {
  const model::Config& config = model.checkpoint.config();
  if (flags.context > 0) return flags.context;  // the engine refuses what the model cannot
  engine::EngineOptions options{
      .context_length = config.max_context_length, .max_sequences = max_sequences};
  // Weights of a mapped checkpoint count as available until they are read: leave half to them.
  const auto available = available_memory_bytes();
  const auto fits = [&] {
    return !available || engine::kv_cache_bytes(config, options, model.backend->operand_dtype()) <=
                             *available / 2;
  };
  while (options.context_length > 4096 && !fits()) options.context_length /= 2;
  return options.context_length;
}

std::vector<TokenId> end_tokens(const LoadedModel& model) {
  std::vector<TokenId> tokens = model.checkpoint.config().eos_token_ids;
  if (model.tokenizer) {
    for (const char* text : {"<|endoftext|>", "<|return|>", "<|call|>"}) {
      if (const auto token = model.tokenizer->special(text)) tokens.push_back(*token);
    }
  }
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

}  // namespace gossamer::apps
