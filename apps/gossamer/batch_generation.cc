#include "apps/gossamer/batch_generation.h"

#include <algorithm>
#include <deque>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "apps/gossamer/engine_setup.h"
#include "apps/gossamer/interrupt.h"

namespace gossamer::apps {
namespace {

using Json = nlohmann::ordered_json;

/// A line's request and what became of it.
struct Job {
  std::vector<TokenId> tokens;
  std::string finish_reason;  // empty while running
  std::string error;

  bool done() const { return !finish_reason.empty() || !error.empty(); }
};

Result<std::vector<TokenId>> prompt_of(const Json& line, const LoadedModel& model) {
  if (line.contains("tokens") && line["tokens"].is_array()) {
    std::vector<TokenId> tokens;
    for (const Json& token : line["tokens"]) {
      if (!token.is_number_unsigned()) {
        return make_error(
            ErrorCode::kInvalidArgument, "\"tokens\" holds {}, which is no token id", token.dump()
        );
      }
      tokens.push_back(token.get<TokenId>());
    }
    return tokens;
  }
  if (line.contains("prompt") && line["prompt"].is_string()) {
    GOSSAMER_ASSIGN_OR_RETURN(const auto* tokenizer, model.require_tokenizer());
    return tokenizer->encode_ordinary(line["prompt"].get<std::string>());
  }
  return make_error(
      ErrorCode::kInvalidArgument,
      "a line must be an object with \"tokens\" (ids) or \"prompt\" (text)"
  );
}

Result<engine::Request> parse_request(
    const std::string& text,
    const engine::SamplingParams& sampling,
    std::optional<int> max_tokens,
    const LoadedModel& model
) {
  const Json line = Json::parse(text, nullptr, false);
  if (!line.is_object()) {
    return make_error(ErrorCode::kInvalidArgument, "the line is not a JSON object");
  }
  GOSSAMER_ASSIGN_OR_RETURN(auto prompt, prompt_of(line, model));
  if (line.contains("max_tokens")) {
    if (!line["max_tokens"].is_number_integer()) {
      return make_error(ErrorCode::kInvalidArgument, "\"max_tokens\" must be a whole number");
    }
    max_tokens = line["max_tokens"].get<int>();
  }
  return engine::Request{
      .prompt = std::move(prompt),
      .sampling = sampling,
      .max_tokens = max_tokens,
      .stop_tokens = end_tokens(model)};
}

void print_job(const Job& job, const LoadedModel& model) {
  Json line;
  if (!job.error.empty()) {
    line["error"] = job.error;
  } else {
    line["tokens"] = job.tokens;
    if (model.tokenizer) line["text"] = model.tokenizer->decode(job.tokens);
    line["finish_reason"] = job.finish_reason;
  }
  std::cout << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
}

/// The jobs on their way: started in order, printed in order, run together.
class Batch {
 public:
  Batch(engine::Engine& engine, const LoadedModel& model) : engine_(engine), model_(model) {}

  std::size_t num_running() const { return running_.size(); }

  void start(Result<engine::Request> request) {
    Job& job = jobs_.emplace_back();
    if (!request.ok()) {
      job.error = request.error().message;
      return;
    }
    const auto id = engine_.submit(std::move(request).value());
    if (id.ok()) {
      running_[*id] = &job;
    } else {
      job.error = id.error().message;
    }
  }

  void step() {
    for (const engine::Output& output : engine_.step()) {
      Job& job = *running_.at(output.sequence);
      job.tokens.push_back(output.sampled.token);
      if (!output.finish) continue;
      job.finish_reason = *output.finish == engine::FinishReason::kStop ? "stop" : "length";
      running_.erase(output.sequence);
    }
    for (; !jobs_.empty() && jobs_.front().done(); jobs_.pop_front())
      print_job(jobs_.front(), model_);
    std::cout.flush();
  }

 private:
  engine::Engine& engine_;
  const LoadedModel& model_;
  std::deque<Job> jobs_;  // a deque: running_ points into it
  std::map<engine::SequenceId, Job*> running_;
};

}  // namespace

void add_batch_flags(CLI::App& app, BatchFlags& flags) {
  app.add_flag(
      "--batch-jsonl",
      flags.enabled,
      "Read requests from stdin, a JSON object a line with \"tokens\" or \"prompt\", and answer "
      "each with a line"
  );
  app.add_option("--parallel", flags.parallel, "With --batch-jsonl: requests that run at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

Result<int> run_batch(
    const ModelFlags& model_flags,
    const BatchFlags& flags,
    const engine::SamplingParams& sampling,
    std::optional<int> max_tokens,
    const LoadedModel& model
) {
  const engine::EngineOptions options = engine_options(model_flags, model, flags.parallel);
  GOSSAMER_ASSIGN_OR_RETURN(auto engine, make_engine(model_flags, model, *model.backend, options));
  Batch batch(*engine, model);
  const InterruptGuard interrupt;
  std::string line;
  bool more = true;
  while ((more || batch.num_running() > 0) && !InterruptGuard::requested()) {
    while (more && batch.num_running() < static_cast<std::size_t>(flags.parallel)) {
      more = static_cast<bool>(std::getline(std::cin, line));
      if (more && !line.empty()) batch.start(parse_request(line, sampling, max_tokens, model));
    }
    batch.step();
  }
  return InterruptGuard::requested() ? kInterruptedStatus : 0;
}

}  // namespace gossamer::apps
