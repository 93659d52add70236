#include "apps/gossamer/bench_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/gossamer/engine_setup.h"
#include "base/terminal.h"

namespace gossamer::apps {
namespace {

using Json = nlohmann::ordered_json;

std::string name_of(const BenchFlags& flags) {
  return flags.model.model.empty() ? "demo" : flags.model.model;
}

Json to_json(const Spread& spread) {
  return {{"min", spread.min}, {"median", spread.median}, {"max", spread.max}};
}

Json to_json(const StepProfile& profile) {
  Json ops = Json::array();
  for (const kernels::OpProfile& op : profile.ops) {
    ops.push_back(
        {{"name", op.name}, {"calls", op.num_calls}, {"seconds", op.seconds}, {"bytes", op.bytes}}
    );
  }
  return {
      {"steps", profile.num_steps},
      {"seconds", profile.seconds},
      {"choosing_seconds", profile.choosing_seconds},
      {"operations", ops}};
}

Json memory_json(const LoadedModel& model, const engine::MemoryUse& memory) {
  Json json = {
      {"weight_bytes", weight_bytes(model)},
      {"kv_cache_bytes", memory.kv_cache_bytes},
      {"kv_cache_tokens", memory.kv_cache_tokens},
      {"scratch_bytes", memory.scratch_bytes}};
  if (memory.free_bytes) json["free_bytes"] = *memory.free_bytes;
  return json;
}

void print_json(
    const BenchFlags& flags,
    const LoadedModel& model,
    const engine::MemoryUse& memory,
    const BenchReport& report
) {
  Json json = {
      {"model", name_of(flags)},
      {"backend", model.backend->name()},
      {"hardware", model.backend->description()},
      {"prompt", flags.prompt},
      {"generate", flags.generate},
      {"context", flags.context},
      {"batch", flags.batch},
      {"repeat", flags.repeat},
      {"load_seconds", model.load_seconds},
      {"memory", memory_json(model, memory)},
      {"prefill_tokens_per_second", to_json(report.prefill_tokens_per_second)},
      {"decode_tokens_per_second", to_json(report.decode_tokens_per_second)},
      {"decode_seconds_per_step", report.step_seconds},
      {"decode_bytes_per_step", report.step_bytes},
      {"decode_gb_per_second", report.step_bytes_per_second() / 1e9},
      {"choosing_seconds_per_step", report.choosing_seconds()},
      {"choosing_share", report.choosing_seconds() / report.step_seconds},
  };
  if (report.read_bytes_per_second) {
    json["read_bandwidth_gb_per_second"] = *report.read_bytes_per_second / 1e9;
    json["bandwidth_share"] = report.step_bytes_per_second() / *report.read_bytes_per_second;
  }
  if (flags.profile) {
    json["decode_profile"] = to_json(report.decode);
    json["prefill_profile"] = to_json(report.prefill);
  }
  fmt::print("{}\n", json.dump(2));
}

void print_row(const std::string& what, const Spread& s) {
  fmt::print("  {:<28} {:>10.2f} {:>10.2f} {:>10.2f}   tokens/s\n", what, s.min, s.median, s.max);
}

/// The share of what memory gives, as " 57 %"; nothing where that is unknown.
std::string share_text(double bytes_per_second, std::optional<double> most) {
  return most ? fmt::format("{:.0f} %", 100 * bytes_per_second / *most) : "";
}

void print_profile(const char* title, const StepProfile& profile, const BenchReport& report) {
  fmt::print(
      "{}, {} step{}, each operation waited for\n",
      title,
      profile.num_steps,
      profile.num_steps == 1 ? "" : "s"
  );
  const auto row = [&](std::string_view name, double calls, double seconds) {
    const double steps = profile.num_steps;
    fmt::print("  {:<20} {:>8.0f} {:>10.3f}", name, calls / steps, 1e3 * seconds / steps);
    fmt::print(" {:>6.1f} %", 100 * seconds / profile.seconds);
  };
  fmt::print(
      "  {:<20} {:>8} {:>10} {:>8} {:>10} {:>8} {:>8}\n",
      "",
      "calls",
      "ms",
      "of time",
      "MB",
      "GB/s",
      "of peak"
  );
  double accounted = 0;
  for (const kernels::OpProfile& op : profile.ops) {
    const double rate = op.bytes / op.seconds;
    row(op.name, static_cast<double>(op.num_calls), op.seconds);
    fmt::print(
        " {:>10.3f} {:>8.1f} {:>8}\n",
        op.bytes / profile.num_steps / 1e6,
        rate / 1e9,
        share_text(rate, report.read_bytes_per_second)
    );
    accounted += op.seconds;
  }
  row("all else", 1.0 * profile.num_steps, profile.seconds - accounted);
  fmt::print("\n");
}

void print_text(const BenchFlags& flags, const LoadedModel& model, const BenchReport& report) {
  fmt::print(
      "{} on {} ({}), {} sequence{}\n",
      name_of(flags),
      model.backend->name(),
      model.backend->description(),
      flags.batch,
      flags.batch == 1 ? "" : "s"
  );
  fmt::print("  {:<28} {:>10} {:>10} {:>10}\n", "", "min", "median", "max");
  print_row(fmt::format("prefill, {} tokens", flags.prompt), report.prefill_tokens_per_second);
  print_row(
      fmt::format("decode, {} after {}", flags.generate, flags.context),
      report.decode_tokens_per_second
  );
  fmt::print(
      "  a decode step reads {}: {:.1f} GB/s",
      format_bytes(static_cast<std::uint64_t>(report.step_bytes)),
      report.step_bytes_per_second() / 1e9
  );
  if (report.read_bytes_per_second) {
    fmt::print(
        ", {} of the {:.1f} GB/s that memory gives",
        share_text(report.step_bytes_per_second(), report.read_bytes_per_second),
        *report.read_bytes_per_second / 1e9
    );
  }
  fmt::print(
      "\n  its tokens are chosen in {:.3f} ms, {:.1f} % of its {:.3f} ms\n",
      1e3 * report.choosing_seconds(),
      100 * report.choosing_seconds() / report.step_seconds,
      1e3 * report.step_seconds
  );
  if (!flags.profile) return;
  print_profile("decode", report.decode, report);
  print_profile("prefill", report.prefill, report);
}

}  // namespace

void print_report(
    const BenchFlags& flags,
    const LoadedModel& model,
    const engine::MemoryUse& memory,
    const BenchReport& report
) {
  if (flags.json) return print_json(flags, model, memory, report);
  print_text(flags, model, report);
}

}  // namespace gossamer::apps
