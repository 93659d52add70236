#include <algorithm>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "apps/gossamer/bench_report.h"
#include "apps/gossamer/command.h"
#include "apps/gossamer/engine_setup.h"
#include "apps/gossamer/interrupt.h"
#include "apps/gossamer/loaded_model.h"
#include "base/stopwatch.h"
#include "base/terminal.h"
#include "engine/engine.h"
#include "kernels/profiling_backend.h"
#include "kernels/step_bytes.h"

namespace gossamer::apps {
namespace {

constexpr const char* kExamples = R"(
Prefill: prompt tokens of all sequences over the time until the last of them has its first token. Decode: steps in
which every sequence gets a token, with --context tokens before the first. GB/s: the weights and keys that a decode step
must read, against what memory can be read at, measured in the same run. Memory is told of on stderr.

Examples:
  gossamer bench -m synthetic:20b
  gossamer bench -m synthetic:20b,layers=4 --prompt 512 --generate 32 --batch 4 --json
  gossamer bench -m /models/gpt-oss-20b --backend cuda --context 8192 --profile)";

// Decode steps of which every operation is timed, at most.
constexpr int kProfiledSteps = 8;

std::vector<TokenId> random_prompt(int length, int vocab_size, std::mt19937_64& random) {
  std::vector<TokenId> tokens(static_cast<std::size_t>(length));
  for (TokenId& token : tokens)
    token = static_cast<TokenId>(random() % static_cast<std::uint64_t>(vocab_size));
  return tokens;
}

Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2], values.back()};
}

/// One benchmark: an engine, and the sequences that it runs.
class Bench {
 public:
  static Result<Bench> create(
      const BenchFlags& flags, const LoadedModel& model, kernels::ProfilingBackend& backend
  );

  const engine::MemoryUse& memory() const { return engine_->memory(); }

  Result<BenchReport> run();

 private:
  Bench(const BenchFlags& flags, const LoadedModel& model, kernels::ProfilingBackend& backend)
      : flags_(flags), model_(model), backend_(backend) {}

  /// Decode steps that are run after a prompt.
  int num_decode_steps() const {
    return flags_.repeat * flags_.generate + std::min(flags_.generate, kProfiledSteps);
  }

  Status start(int length);
  void stop();
  Result<double> prefill(int length);
  double decode(int num_steps);
  Status time_prefill(BenchReport& report);
  Status time_decode(BenchReport& report);
  template <class Work>
  StepProfile profiled(const Work& work);
  double step_bytes() const;

  const BenchFlags& flags_;
  const LoadedModel& model_;
  kernels::ProfilingBackend& backend_;
  std::unique_ptr<engine::Engine> engine_;
  std::mt19937_64 random_{1};
  std::vector<engine::SequenceId> ids_;
};

Result<Bench> Bench::create(
    const BenchFlags& flags, const LoadedModel& model, kernels::ProfilingBackend& backend
) {
  Bench bench(flags, model, backend);
  engine::EngineOptions options = engine_options(flags.model, model, flags.batch);
  const int longest = std::max(flags.prompt, flags.context);
  // While the last prompts are read, the first sequences already decode.
  const int prefill_steps = flags.batch * longest / options.max_batch_tokens + 2;
  const int most = model.checkpoint.config().max_context_length;
  options.context_length = longest + prefill_steps + bench.num_decode_steps();
  if (options.context_length > most) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "prompt or context and {} decode steps come to {} tokens; this model takes {}",
        bench.num_decode_steps(),
        options.context_length,
        most
    );
  }
  ModelFlags needed = flags.model;
  needed.context = options.context_length;
  GOSSAMER_ASSIGN_OR_RETURN(bench.engine_, make_engine(needed, model, backend, options));
  const std::int64_t tokens = std::int64_t{flags.batch} * options.context_length;
  if (bench.memory().kv_cache_tokens < tokens) {
    return make_error(
        ErrorCode::kOutOfMemory,
        "{} sequences of up to {} tokens were asked for; the {} that are left for the KV cache "
        "hold {} tokens together",
        flags.batch,
        options.context_length,
        format_bytes(bench.memory().kv_cache_bytes),
        bench.memory().kv_cache_tokens
    );
  }
  return bench;
}

Status Bench::start(int length) {
  engine::SamplingParams greedy;
  greedy.temperature = 0;
  ids_.clear();
  for (int i = 0; i < flags_.batch; ++i) {
    auto prompt = random_prompt(length, model_.checkpoint.config().vocab_size, random_);
    GOSSAMER_ASSIGN_OR_RETURN(
        const auto id, engine_->submit({.prompt = std::move(prompt), .sampling = greedy})
    );
    ids_.push_back(id);
  }
  return {};
}

void Bench::stop() {
  for (const engine::SequenceId id : ids_) engine_->cancel(id);
}

/// Starts sequences with prompts of `length`, and returns the seconds until all have begun.
Result<double> Bench::prefill(int length) {
  const Stopwatch time;
  GOSSAMER_RETURN_IF_ERROR(start(length));
  std::vector<bool> begun(ids_.size());
  const auto all_begun = [&] {
    return std::find(begun.begin(), begun.end(), false) == begun.end();
  };
  while (!all_begun() && !InterruptGuard::requested()) {
    for (const engine::Output& output : engine_->step())
      begun[output.sequence - ids_.front()] = true;
  }
  return time.seconds();
}

/// The seconds of so many decode steps.
double Bench::decode(int num_steps) {
  const Stopwatch time;
  for (int i = 0; i < num_steps && !InterruptGuard::requested(); ++i) engine_->step();
  return time.seconds();
}

template <class Work>
StepProfile Bench::profiled(const Work& work) {
  const auto num_steps = engine_->status().num_steps;
  const double choosing = engine_->choosing_seconds();
  backend_.start();
  const Stopwatch time;
  work();
  StepProfile profile{.seconds = time.seconds()};
  profile.ops = backend_.stop();
  profile.num_steps = static_cast<int>(engine_->status().num_steps - num_steps);
  profile.choosing_seconds = engine_->choosing_seconds() - choosing;
  return profile;
}

/// Bytes that a decode step reads, in the middle of those that are timed.
double Bench::step_bytes() const {
  const model::Config& config = model_.checkpoint.config();
  const auto batch = static_cast<std::size_t>(flags_.batch);
  std::vector<std::int32_t> windows;
  for (const model::LayerType type : config.layer_types) {
    windows.push_back(type == model::LayerType::kSliding ? config.sliding_window : 0);
  }
  std::vector<std::int32_t> starts;
  for (int s = 0; s <= flags_.batch; ++s) starts.push_back(s);
  const std::vector<std::int32_t> lengths(
      batch, flags_.context + flags_.repeat * flags_.generate / 2
  );
  return kernels::expected_step_bytes(
      {.weights = &model_.resident.weights,
       .sliding_windows = windows,
       .sequences = {starts, lengths},
       .experts_per_token = config.experts_per_token,
       .position_bytes = 2.0 * config.num_key_value_heads * config.head_dim *
                         static_cast<double>(tensor::size_of(model_.backend->operand_dtype()))}
  );
}

Status Bench::time_prefill(BenchReport& report) {
  std::vector<double> rates;
  for (int i = 0; i < flags_.repeat; ++i) {
    stop();
    GOSSAMER_ASSIGN_OR_RETURN(const double seconds, prefill(flags_.prompt));
    rates.push_back(flags_.batch * flags_.prompt / seconds);
  }
  report.prefill_tokens_per_second = spread(std::move(rates));
  return {};
}

Status Bench::time_decode(BenchReport& report) {
  if (flags_.context != flags_.prompt) {
    stop();
    GOSSAMER_RETURN_IF_ERROR(prefill(flags_.context));
  }
  std::vector<double> step_seconds;
  std::vector<double> rates;
  for (int i = 0; i < flags_.repeat; ++i) {
    step_seconds.push_back(decode(flags_.generate) / flags_.generate);
    rates.push_back(flags_.batch / step_seconds.back());
  }
  report.decode_tokens_per_second = spread(std::move(rates));
  report.step_seconds = spread(std::move(step_seconds)).median;
  report.decode = profiled([&] { decode(std::min(flags_.generate, kProfiledSteps)); });
  return {};
}

Result<BenchReport> Bench::run() {
  BenchReport report{.step_bytes = step_bytes()};
  GOSSAMER_RETURN_IF_ERROR(time_prefill(report));
  GOSSAMER_RETURN_IF_ERROR(time_decode(report));
  if (flags_.profile) {
    stop();
    Result<double> seconds = 0.0;
    report.prefill = profiled([&] { seconds = prefill(flags_.prompt); });
    if (!seconds.ok()) return seconds.error();
  }
  if (InterruptGuard::requested()) return report;
  const Result<double> rate = model_.backend->measure_read_bandwidth();
  if (rate.ok()) {
    report.read_bytes_per_second = *rate;
  } else if (rate.error().code != ErrorCode::kUnsupported) {
    return rate.error();
  }
  return report;
}

Result<int> bench(BenchFlags flags) {
  GOSSAMER_ASSIGN_OR_RETURN(const LoadedModel model, load_model(flags.model));
  if (flags.context == 0) flags.context = flags.prompt;
  kernels::ProfilingBackend backend(*model.backend);
  GOSSAMER_ASSIGN_OR_RETURN(Bench runs, Bench::create(flags, model, backend));
  print_memory(model, runs.memory());
  const InterruptGuard interrupt;
  GOSSAMER_ASSIGN_OR_RETURN(const BenchReport report, runs.run());
  if (InterruptGuard::requested()) return kInterruptedStatus;
  print_report(flags, model, runs.memory(), report);
  return 0;
}

}  // namespace

Command add_bench(CLI::App& program) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* app = program.add_subcommand("bench", "Measure prefill and decode speed");
  add_model_flags(*app, flags->model);
  app->add_option("--prompt", flags->prompt, "Prompt tokens a sequence")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--generate", flags->generate, "Decode steps to time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option(
         "--context",
         flags->context,
         "Tokens of each sequence in the cache before decoding is timed; as --prompt when not given"
  )
      ->check(CLI::PositiveNumber);
  app->add_option("--batch", flags->batch, "Sequences at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app->add_option("--repeat", flags->repeat, "Repetitions; min, median and max are shown")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app->add_flag("--profile", flags->profile, "Show where the time goes, operation by operation");
  app->add_flag("--json", flags->json, "Print one JSON object");
  app->footer(kExamples);
  return {app, [flags] {
            const Result<int> status = bench(*flags);
            return status.ok() ? *status : fail(status.error().message);
          }};
}

}  // namespace gossamer::apps
