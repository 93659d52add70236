#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>
#include <vector>

#include "apps/gossamer/command.h"
#include "apps/gossamer/interrupt.h"
#include "apps/gossamer/loaded_model.h"
#include "base/stopwatch.h"
#include "base/terminal.h"
#include "base/thread_pool.h"
#include "engine/engine.h"
#include "kernels/cpu/read_bandwidth.h"

namespace gossamer::apps {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kExamples = R"(
Prefill: prompt tokens of all sequences over the time until the last of them has its first token. Decode: tokens after
that. GB/s: the weights and keys that a decode step must read, against what this machine's memory can read, measured
in the same run.

Examples:
  gossamer bench -m synthetic:20b
  gossamer bench -m synthetic:20b,layers=4 --prompt 512 --generate 32 --batch 4 --json
  gossamer bench -m /models/gpt-oss-20b --threads 8 --repeat 5)";

// Several times any last-level cache that we know of.
constexpr std::size_t kBandwidthBytes = std::size_t{2} << 30U;
constexpr int kBandwidthPasses = 4;

struct Flags {
  ModelFlags model;
  int prompt = 256;
  int generate = 32;
  int batch = 1;
  int repeat = 3;
  bool json = false;
};

/// The times of one repetition.
struct Run {
  double prefill_tokens_per_second;
  double decode_tokens_per_second;
  double decode_seconds_per_step;
};

struct Spread {
  double min;
  double median;
  double max;
};

Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2], values.back()};
}

template <class Member>
Spread spread_of(const std::vector<Run>& runs, Member member) {
  std::vector<double> values;
  for (const Run& run : runs) values.push_back(run.*member);
  return spread(std::move(values));
}

/// Bytes that a decode step of `batch` sequences reads: every dense weight once, the experts that
/// are chosen, and the keys and values in view.
double decode_bytes(const LoadedModel& model, int batch, int context) {
  const model::Config& config = model.checkpoint.config();
  const model::Weights& weights = model.checkpoint.weights();
  const double experts = config.num_experts;
  // Chosen uniformly and independently; exact for one sequence.
  const double used =
      batch == 1 ? config.experts_per_token
                 : experts * (1.0 - std::pow(1.0 - config.experts_per_token / experts, batch));
  const auto linear_bytes = [](const kernels::Linear& layer) {
    return static_cast<double>(layer.weight.size_bytes() + layer.bias.size_bytes());
  };
  const auto expert_bytes = [](const kernels::ExpertLinear& layer) {
    return static_cast<double>(
        layer.weight.blocks.size_bytes() + layer.weight.scales.size_bytes() +
        layer.bias.size_bytes()
    );
  };
  double bytes = static_cast<double>(weights.unembedding.size_bytes());
  const auto kv_token_bytes = 2.0 * config.num_key_value_heads * config.head_dim *
                              static_cast<double>(tensor::size_of(model.backend->operand_dtype()));
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    const model::LayerWeights& layer = weights.layers[i];
    for (const auto* linear : {&layer.q, &layer.k, &layer.v, &layer.attn_out, &layer.router}) {
      bytes += linear_bytes(*linear);
    }
    bytes += (expert_bytes(layer.gate_up) + expert_bytes(layer.down)) * used / experts;
    const bool sliding = config.layer_types[i] == model::LayerType::kSliding;
    bytes +=
        batch * kv_token_bytes * (sliding ? std::min(context, config.sliding_window) : context);
  }
  return bytes;
}

std::vector<TokenId> random_prompt(int length, int vocab_size, std::mt19937_64& random) {
  std::vector<TokenId> tokens(static_cast<std::size_t>(length));
  for (TokenId& token : tokens)
    token = static_cast<TokenId>(random() % static_cast<std::uint64_t>(vocab_size));
  return tokens;
}

Result<Run> run_once(
    engine::Engine& engine, const Flags& flags, int vocab_size, std::mt19937_64& random
) {
  engine::SamplingParams greedy;
  greedy.temperature = 0;
  std::vector<engine::SequenceId> ids;
  const Stopwatch prefill_time;
  for (int i = 0; i < flags.batch; ++i) {
    GOSSAMER_ASSIGN_OR_RETURN(
        const auto id,
        engine.submit(
            {.prompt = random_prompt(flags.prompt, vocab_size, random), .sampling = greedy}
        )
    );
    ids.push_back(id);
  }
  std::vector<bool> begun(ids.size());
  const auto all_begun = [&] {
    return std::find(begun.begin(), begun.end(), false) == begun.end();
  };
  while (!all_begun() && !InterruptGuard::requested()) {
    for (const engine::Output& output : engine.step()) begun[output.sequence - ids.front()] = true;
  }
  const double prefill = prefill_time.seconds();
  const Stopwatch decode_time;
  int steps = 0;
  std::size_t tokens = 0;
  for (; steps < flags.generate && !InterruptGuard::requested(); ++steps)
    tokens += engine.step().size();
  const double decode = decode_time.seconds();
  for (const engine::SequenceId id : ids) engine.cancel(id);
  return Run{
      flags.batch * flags.prompt / prefill,
      static_cast<double>(tokens) / decode,
      decode / std::max(steps, 1)};
}

Json to_json(const Spread& spread) {
  return {{"min", spread.min}, {"median", spread.median}, {"max", spread.max}};
}

struct Report {
  Spread prefill;
  Spread decode;
  double decode_gb_per_second;
  double read_gb_per_second;
  double bytes_per_step;
};

void print_report(const Flags& flags, const LoadedModel& model, const Report& report) {
  const std::string name = flags.model.model.empty() ? "demo" : flags.model.model;
  if (flags.json) {
    const Json json = {
        {"model", name},
        {"backend", model.backend->name()},
        {"hardware", model.backend->description()},
        {"prompt", flags.prompt},
        {"generate", flags.generate},
        {"batch", flags.batch},
        {"repeat", flags.repeat},
        {"load_seconds", model.load_seconds},
        {"prefill_tokens_per_second", to_json(report.prefill)},
        {"decode_tokens_per_second", to_json(report.decode)},
        {"decode_bytes_per_step", report.bytes_per_step},
        {"decode_gb_per_second", report.decode_gb_per_second},
        {"read_bandwidth_gb_per_second", report.read_gb_per_second},
        {"bandwidth_share", report.decode_gb_per_second / report.read_gb_per_second},
    };
    fmt::print("{}\n", json.dump(2));
    return;
  }
  const auto row = [](const char* what, const Spread& s) {
    fmt::print("  {:<22} {:>10.2f} {:>10.2f} {:>10.2f}   tokens/s\n", what, s.min, s.median, s.max);
  };
  fmt::print(
      "{} on {} ({}), {} sequence{}\n",
      name,
      model.backend->name(),
      model.backend->description(),
      flags.batch,
      flags.batch == 1 ? "" : "s"
  );
  fmt::print("  {:<22} {:>10} {:>10} {:>10}\n", "", "min", "median", "max");
  row(fmt::format("prefill, {} tokens", flags.prompt).c_str(), report.prefill);
  row(fmt::format("decode, {} tokens", flags.generate).c_str(), report.decode);
  fmt::print(
      "  a decode step reads {}: {:.1f} GB/s, {:.0f} % of the {:.1f} GB/s that memory gives\n",
      format_bytes(static_cast<std::uint64_t>(report.bytes_per_step)),
      report.decode_gb_per_second,
      100 * report.decode_gb_per_second / report.read_gb_per_second,
      report.read_gb_per_second
  );
}

Result<int> bench(const Flags& flags) {
  GOSSAMER_ASSIGN_OR_RETURN(const LoadedModel model, load_model(flags.model));
  const model::Config& config = model.checkpoint.config();
  const int max_batch_tokens = std::max(512, flags.batch);
  // While the last prompts are read, the first sequences already decode.
  const int steps = flags.generate + flags.batch * flags.prompt / max_batch_tokens + 2;
  const int context = std::min(flags.prompt + steps, config.max_context_length);
  GOSSAMER_ASSIGN_OR_RETURN(
      auto engine,
      engine::Engine::create(
          config,
          model.checkpoint.weights(),
          *model.backend,
          {.context_length = context,
           .max_sequences = flags.batch,
           .max_batch_tokens = max_batch_tokens}
      )
  );
  const InterruptGuard interrupt;
  std::mt19937_64 random(1);
  std::vector<Run> runs;
  for (int i = 0; i < flags.repeat && !InterruptGuard::requested(); ++i) {
    GOSSAMER_ASSIGN_OR_RETURN(const Run run, run_once(*engine, flags, config.vocab_size, random));
    runs.push_back(run);
  }
  if (InterruptGuard::requested()) return kInterruptedStatus;
  ThreadPool pool(flags.model.threads > 0 ? flags.model.threads : available_cores());
  GOSSAMER_ASSIGN_OR_RETURN(
      const double read_rate,
      kernels::cpu::measure_read_bandwidth(pool, kBandwidthBytes, kBandwidthPasses)
  );
  const double bytes = decode_bytes(model, flags.batch, flags.prompt + flags.generate / 2);
  print_report(
      flags,
      model,
      {.prefill = spread_of(runs, &Run::prefill_tokens_per_second),
       .decode = spread_of(runs, &Run::decode_tokens_per_second),
       .decode_gb_per_second = bytes / spread_of(runs, &Run::decode_seconds_per_step).median / 1e9,
       .read_gb_per_second = read_rate / 1e9,
       .bytes_per_step = bytes}
  );
  return 0;
}

}  // namespace

Command add_bench(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app = program.add_subcommand("bench", "Measure prefill and decode speed");
  add_model_flags(*app, flags->model);
  app->add_option("--prompt", flags->prompt, "Prompt tokens a sequence")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--generate", flags->generate, "Decode steps to time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--batch", flags->batch, "Sequences at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app->add_option("--repeat", flags->repeat, "Repetitions; min, median and max are shown")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app->add_flag("--json", flags->json, "Print one JSON object");
  app->footer(kExamples);
  return {app, [flags] {
            const Result<int> status = bench(*flags);
            return status.ok() ? *status : fail(status.error().message);
          }};
}

}  // namespace gossamer::apps
