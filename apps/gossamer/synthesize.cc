#include <fmt/format.h>

#include <csignal>
#include <memory>
#include <string>

#include "apps/gossamer/command.h"
#include "base/terminal.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/weight_schema.h"

namespace gossamer::apps {
namespace {

constexpr const char* kHelp = R"(
Writes a checkpoint of random weights, in the files that a released model has. It computes
nonsense at the real speed: good for benchmarks and tests. The same SPEC gives the same
weights, on disk and as MODEL (synthetic:SPEC) in memory.

SPEC is 20b, 120b, or either with changes; 20b unless it says. The keys:
{}.

Examples:
  gossamer synthesize 20b /models/random-20b
  gossamer synthesize 20b,layers=2,experts=8 /tmp/short --layout original
  gossamer synthesize hidden=256,intermediate=256,layers=4,experts=8,vocab=1024,seed=7 /tmp/tiny
)";

struct Flags {
  std::string spec;
  std::string directory;
  std::string layout = "hf";
  bool force = false;
};

int run_synthesize(const Flags& flags) {
  // A file size limit should be an error message, not a signal.
  std::signal(SIGXFSZ, SIG_IGN);
  const auto text = checkpoint::synthetic_text(flags.spec).value_or(flags.spec);
  const auto spec = checkpoint::parse_synthetic_spec(text);
  if (!spec.ok()) return fail(spec.error().message);
  const auto layout =
      flags.layout == "hf" ? checkpoint::Layout::kHuggingFace : checkpoint::Layout::kOriginal;
  const std::uint64_t bytes = checkpoint::payload_bytes(spec->config);
  {
    ThreadPool pool(available_cores());
    Progress progress("writing weights", bytes);
    checkpoint::WriteOptions options{layout, flags.force};
    options.on_progress = [&](std::uint64_t done) { progress.update(done); };
    const Status written = checkpoint::write_synthetic(*spec, flags.directory, options, pool);
    if (!written.ok()) return fail(written.error().message);
  }
  const std::size_t num_files = checkpoint::plan_files(spec->config, layout).size();
  fmt::print(
      "{}: {} of weights in {} ({} layout); look at it with `gossamer inspect {}`\n",
      flags.directory,
      format_bytes(bytes),
      num_files == 1 ? "1 file" : fmt::format("{} files", num_files),
      checkpoint::name_of(layout),
      flags.directory
  );
  return 0;
}

}  // namespace

Command add_synthesize(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app = program.add_subcommand("synthesize", "Write a checkpoint of random weights");
  app->add_option("SPEC", flags->spec, "20b, 120b, or key=value,...")->required();
  app->add_option("DIR", flags->directory, "Directory to write to; made when it does not exist")
      ->required();
  app->add_option("--layout", flags->layout, "Names and files: hf (the default) or original")
      ->check(CLI::IsMember({"hf", "original"}));
  app->add_flag("--force", flags->force, "Overwrite files that are there");
  app->footer(fmt::format(kHelp, checkpoint::synthetic_keys()));
  return {app, [flags] { return run_synthesize(*flags); }};
}

}  // namespace gossamer::apps
