#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/gossamer/command.h"
#include "apps/gossamer/loaded_model.h"
#include "apps/gossamer/prompt.h"
#include "base/terminal.h"
#include "engine/scorer.h"

namespace gossamer::apps {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExamples = R"(
Log-probabilities are natural, over the whole vocabulary. With --json, a line for each position: "logprob" is that of
the token given the ones before it (null at position 0), "top" are the likeliest to follow it.

Examples:
  gossamer score -p "The quick brown fox jumps over the lazy dog"
  gossamer score -m /models/gpt-oss-20b --json --top 5 < article.txt
  gossamer score --tokens 1,2,3 --backend reference --json)";

struct Flags {
  ModelFlags model;
  PromptFlags prompt;
  int top = 0;
  bool json = false;
};

void print_json(const engine::ScoredPosition& scored) {
  Json line = {
      {"position", scored.position},
      {"token", scored.token},
      {"logprob", nullptr},
      {"top", Json::array()}};
  if (scored.logprob) line["logprob"] = *scored.logprob;
  for (const engine::TokenLogprob& entry : scored.top) {
    line["top"].push_back({{"token", entry.token}, {"logprob", entry.logprob}});
  }
  const std::string text = line.dump() + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
}

Result<int> score(const Flags& flags) {
  GOSSAMER_ASSIGN_OR_RETURN(const LoadedModel model, load_model(flags.model));
  GOSSAMER_ASSIGN_OR_RETURN(const auto tokens, raw_prompt(flags.prompt, model));
  double sum = 0;
  int count = 0;
  {
    Progress progress("scoring", tokens.size());
    GOSSAMER_RETURN_IF_ERROR(engine::score(
        model.checkpoint.config(),
        model.resident.weights,
        *model.backend,
        tokens,
        flags.top,
        [&](const engine::ScoredPosition& scored) {
          if (flags.json) print_json(scored);
          progress.update(static_cast<std::uint64_t>(scored.position));
          if (!scored.logprob) return;
          sum += *scored.logprob;
          ++count;
        }
    ));
  }
  if (flags.json) return 0;
  if (count == 0) {
    return make_error(
        ErrorCode::kInvalidArgument, "one token has nothing before it to be scored by; give more"
    );
  }
  fmt::print(
      "{} tokens, mean log-probability {:.4f}, perplexity {:.3f}\n",
      count,
      sum / count,
      std::exp(-sum / count)
  );
  return 0;
}

}  // namespace

Command add_score(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app =
      program.add_subcommand("score", "How likely a text is: log-probabilities, perplexity");
  add_model_flags(*app, flags->model);
  add_prompt_flags(*app, flags->prompt);
  app->add_option("--top", flags->top, "With --json: list the K likeliest next tokens")
      ->check(CLI::Range(0, 1000))
      ->type_name("K");
  app->add_flag("--json", flags->json, "Print a line for each position");
  app->footer(kExamples);
  return {app, [flags] {
            const Result<int> status = score(*flags);
            return status.ok() ? *status : fail(status.error().message);
          }};
}

}  // namespace gossamer::apps
