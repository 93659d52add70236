#include "apps/gossamer/loaded_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "apps/gossamer/backend_choice.h"
#include "base/stopwatch.h"
#include "base/terminal.h"
#include "base/thread_pool.h"
#include "demo_model/demo_model.h"

namespace gossamer::apps {
namespace {

// Ids of o200k_harmony that a model must be able to embed: through <|call|>.
constexpr int kHarmonyVocabSize = 200013;

/// A progress line that is there once there is progress.
class LateProgress {
 public:
  explicit LateProgress(const char* label) : label_(label) {}

  void operator()(std::uint64_t done, std::uint64_t total) {
    if (!progress_) progress_.emplace(label_, total);
    progress_->update(done);
  }

 private:
  const char* label_;
  std::optional<Progress> progress_;
};

Result<checkpoint::Checkpoint> open_model(const std::string& name) {
  if (name.empty() || name == "demo") return demo_model::open();
  LateProgress progress("making random weights");
  return checkpoint::Checkpoint::open(name, std::ref(progress));
}

Result<kernels::ResidentWeights> load_weights(
    kernels::Backend& backend, const checkpoint::Checkpoint& checkpoint
) {
  LateProgress progress("loading weights");
  return backend.load(checkpoint.weights(), std::ref(progress));
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

}  // namespace

void add_model_flags(CLI::App& app, ModelFlags& flags) {
  app.add_option(
         "-m,--model",
         flags.model,
         "Checkpoint folder, or synthetic:20b and the like; the demo model when not given"
  )
      ->type_name("MODEL");
  app.add_option(
         "--backend",
         flags.backend,
         "reference (double precision, slow), cpu, cuda, or auto: cuda where there is a device"
  )
      ->check(CLI::IsMember({"reference", "cpu", "cuda", "auto"}))
      ->capture_default_str();
  app.add_option("--device", flags.device, "CUDA device, by its number in gossamer --version")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--threads", flags.threads, "CPU threads; all cores when not given")
      ->check(CLI::Range(1, 1024));
  app.add_option(
         "--kv-cache-dtype",
         flags.kv_cache_dtype,
         "How the CPU keeps keys and values: f16, or f32, exact and twice as large; auto is f16"
  )
      ->check(CLI::IsMember({"auto", "f16", "f32"}))
      ->capture_default_str();
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
  GOSSAMER_ASSIGN_OR_RETURN(auto backend, choose_backend(flags));
  GOSSAMER_ASSIGN_OR_RETURN(auto checkpoint, open_model(flags.model));
  GOSSAMER_ASSIGN_OR_RETURN(auto tokenizer, choose_tokenizer(checkpoint, flags.model));
  if (checkpoint.layout() != checkpoint::Layout::kSynthetic) {
    ThreadPool pool(flags.threads > 0 ? flags.threads : available_cores());
    GOSSAMER_RETURN_IF_ERROR(checkpoint.verify_scales(pool));
  }
  for (const std::string& warning : checkpoint.warnings()) {
    fmt::print(stderr, "{} {}\n", styled("warning:", Style::kYellow, is_terminal(stderr)), warning);
  }
  GOSSAMER_ASSIGN_OR_RETURN(auto resident, load_weights(*backend, checkpoint));
  return LoadedModel{
      .checkpoint = std::move(checkpoint),
      .tokenizer = std::move(tokenizer),
      .backend = std::move(backend),
      .resident = std::move(resident),
      .load_seconds = load_time.seconds()};
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
