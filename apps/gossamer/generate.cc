#include <fmt/format.h>

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "apps/gossamer/batch_generation.h"
#include "apps/gossamer/command.h"
#include "apps/gossamer/engine_setup.h"
#include "apps/gossamer/generation_output.h"
#include "apps/gossamer/interrupt.h"
#include "apps/gossamer/loaded_model.h"
#include "apps/gossamer/prompt.h"
#include "apps/gossamer/sampling_flags.h"
#include "base/stopwatch.h"
#include "base/terminal.h"
#include "engine/engine.h"
#include "grammar/header_grammar.h"
#include "grammar/header_mask.h"
#include "tokenizer/stop_matcher.h"
#include "tokenizer/stream_decoder.h"

namespace gossamer::apps {
namespace {

constexpr const char* kExamples = R"(
Without --chat the text is continued as it is; with it, it becomes a user's message, the model's analysis goes to
stderr (dimmed) and its answer to stdout.

Examples:
  gossamer generate --chat -p "What is 27 + 45?"
  gossamer generate -m /models/gpt-oss-20b --chat -p "Why is the sky blue?" --reasoning high --stats
  git diff | gossamer generate -m /models/gpt-oss-20b --chat --developer "Write a commit message for this diff."
  gossamer generate --tokens 12,7,9 -n 20 -t 0 --json
  gossamer generate --batch-jsonl < requests.jsonl       a request a line, many at once)";

struct Flags {
  ModelFlags model;
  PromptFlags prompt;
  ChatFlags chat_flags;
  SamplingFlags sampling;
  std::optional<int> max_tokens;
  std::vector<std::string> stop;
  BatchFlags batch;
  bool chat = false;
  bool json = false;
  bool stats = false;
  bool ignore_eos = false;
};

Result<std::unique_ptr<GenerationOutput>> make_output(
    const Flags& flags, const LoadedModel& model
) {
  if (!flags.chat) {
    if (flags.json) return make_json_output(std::nullopt);
    return model.tokenizer ? make_text_output() : make_id_output();
  }
  GOSSAMER_ASSIGN_OR_RETURN(const auto* tokenizer, model.require_tokenizer());
  GOSSAMER_ASSIGN_OR_RETURN(auto encoding, harmony::Encoding::create(*tokenizer));
  return flags.json ? make_json_output(std::move(encoding)) : make_chat_output(std::move(encoding));
}

/// From tokens to the text that may be shown: whole characters, cut at a stop string.
class TextStream {
 public:
  TextStream(const LoadedModel& model, std::vector<std::string> stops) : stops_(std::move(stops)) {
    if (model.tokenizer) decoder_.emplace(*model.tokenizer);
  }

  std::string push(TokenId token) { return decoder_ ? stops_.push(decoder_->push(token)) : ""; }
  std::string finish() {
    if (!decoder_ || stops_.stopped()) return "";
    return stops_.push(decoder_->finish()) + stops_.finish();
  }
  bool stopped() const { return stops_.stopped(); }

 private:
  std::optional<tokenizer::StreamDecoder> decoder_;
  tokenizer::StopMatcher stops_;
};

/// Runs one sequence to its end, and returns how it went.
GenerationSummary run_to_end(
    engine::Engine& engine, engine::SequenceId id, TextStream& text, GenerationOutput& output
) {
  GenerationSummary summary{.finish_reason = "interrupted"};
  const InterruptGuard interrupt;
  const Stopwatch since_start;
  Stopwatch since_first_token;
  while (!engine.idle() && !InterruptGuard::requested()) {
    for (const engine::Output& step : engine.step()) {
      if (summary.completion_tokens++ == 0) {
        since_first_token = Stopwatch();
        summary.prefill_seconds = since_start.seconds();
      }
      const bool ends_text = step.finish == engine::FinishReason::kStop;
      output.token(step.sampled, ends_text ? "" : text.push(step.sampled.token));
      if (step.finish) summary.finish_reason = ends_text ? "stop" : "length";
      if (text.stopped()) {
        summary.finish_reason = "stop";
        engine.cancel(id);
      }
    }
  }
  engine.cancel(id);
  if (summary.completion_tokens > 0) summary.decode_seconds = since_first_token.seconds();
  return summary;
}

/// With --chat, the grammar that keeps the model from writing a malformed header.
Result<std::shared_ptr<engine::TokenMask>> make_mask(const Flags& flags, const LoadedModel& model) {
  if (!flags.chat) return std::shared_ptr<engine::TokenMask>();
  GOSSAMER_ASSIGN_OR_RETURN(const auto* tokenizer, model.require_tokenizer());
  GOSSAMER_ASSIGN_OR_RETURN(const auto encoding, harmony::Encoding::create(*tokenizer));
  GOSSAMER_ASSIGN_OR_RETURN(auto grammar, grammar::HeaderGrammar::create(encoding, {}));
  return std::shared_ptr<engine::TokenMask>(std::make_shared<grammar::HeaderMask>(std::move(grammar)
  ));
}

Result<int> generate(const Flags& flags) {
  GOSSAMER_ASSIGN_OR_RETURN(LoadedModel model, load_model(flags.model));
  GOSSAMER_ASSIGN_OR_RETURN(const auto sampling, sampling_params(flags.sampling));
  GOSSAMER_ASSIGN_OR_RETURN(
      auto prompt,
      flags.chat ? chat_prompt(flags.prompt, flags.chat_flags, model)
                 : raw_prompt(flags.prompt, model)
  );
  GOSSAMER_ASSIGN_OR_RETURN(auto output, make_output(flags, model));
  GOSSAMER_ASSIGN_OR_RETURN(auto mask, make_mask(flags, model));
  engine::EngineOptions options = engine_options(flags.model, model, 1);
  options.seed = std::random_device()();
  GOSSAMER_ASSIGN_OR_RETURN(auto engine, make_engine(flags.model, model, *model.backend, options));
  const int prompt_tokens = static_cast<int>(prompt.size());
  GOSSAMER_ASSIGN_OR_RETURN(
      const auto id,
      engine->submit(
          {.prompt = std::move(prompt),
           .sampling = sampling,
           .max_tokens = flags.max_tokens,
           .stop_tokens = flags.ignore_eos ? std::vector<TokenId>() : end_tokens(model),
           .mask = std::move(mask)}
      )
  );
  TextStream text(model, flags.stop);
  GenerationSummary summary = run_to_end(*engine, id, text, *output);
  summary.prompt_tokens = prompt_tokens;
  summary.load_seconds = model.load_seconds;
  output->finish(text.finish(), summary);
  if (flags.stats) print_stats(summary, model.backend->description());
  return summary.finish_reason == "interrupted" ? kInterruptedStatus : 0;
}

Result<int> generate_batch(const Flags& flags) {
  GOSSAMER_ASSIGN_OR_RETURN(LoadedModel model, load_model(flags.model));
  GOSSAMER_ASSIGN_OR_RETURN(const auto sampling, sampling_params(flags.sampling));
  return run_batch(flags.model, flags.batch, sampling, flags.max_tokens, model);
}

}  // namespace

Command add_generate(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app = program.add_subcommand("generate", "Continue a text, or answer a message");
  add_model_flags(*app, flags->model);
  add_context_flag(*app, flags->model);
  add_prompt_flags(*app, flags->prompt);
  app->add_flag("--chat", flags->chat, "Wrap the text as a user's message, and show the answer");
  app->add_option("-r,--reasoning", flags->chat_flags.reasoning, "With --chat: low, medium or high")
      ->check(CLI::IsMember({"low", "medium", "high"}))
      ->capture_default_str();
  app->add_option(
      "--developer", flags->chat_flags.developer, "With --chat: instructions for the model"
  );
  app->add_option(
      "-n,--max-tokens",
      flags->max_tokens,
      "New tokens at most; to the end of the context if not given"
  );
  app->add_option("--stop", flags->stop, "End before this text; may be repeated");
  app->add_flag("--ignore-eos", flags->ignore_eos, "Do not end at end-of-text tokens");
  add_sampling_flags(*app, flags->sampling);
  app->add_flag(
      "--json",
      flags->json,
      "Print an object for each token, and a last one with counts and timings"
  );
  app->add_flag("--stats", flags->stats, "Print speeds on stderr at the end");
  add_batch_flags(*app, flags->batch);
  app->footer(kExamples);
  return {app, [flags] {
            const Result<int> status =
                flags->batch.enabled ? generate_batch(*flags) : generate(*flags);
            return status.ok() ? *status : fail(status.error().message);
          }};
}

}  // namespace gossamer::apps
