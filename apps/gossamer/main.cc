#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "apps/gossamer/command.h"
#include "base/terminal.h"
#include "kernels/cuda/devices.h"

namespace gossamer::apps {

int fail(const std::string& message) {
  const bool colour = is_terminal(stderr);
  fmt::print(stderr, "{} {}\n", styled("gossamer:", Style::kRed, colour), message);
  return 1;
}

namespace {

constexpr int kUsageStatus = 2;

constexpr const char* kFooter = R"(
Examples:
  gossamer generate --chat -p "What can you do?"     answer a message
  gossamer generate -m MODEL -p "Once upon a time"   continue a text
  gossamer inspect MODEL                             what a checkpoint holds
  gossamer COMMAND --help                            the flags of a command

MODEL is a folder with a gpt-oss checkpoint, as released or from Hugging Face.
Exit status: 0 done, 1 failed, 2 the command line makes no sense.)";

/// What `--version` prints: this build, and what it finds to run on.
std::string version_text() {
  namespace cuda = kernels::cuda;
  std::string text = fmt::format("gossamer {}\nbuilt by {}\n", GOSSAMER_VERSION, GOSSAMER_COMPILER);
  const std::string toolkit = cuda::cuda_version();
  text += fmt::format("CUDA     {}\n", toolkit.empty() ? "not built in" : toolkit);
  const auto devices = cuda::list_cuda_devices();
  if (!devices.ok()) return text + fmt::format("devices  none: {}", devices.error().message);
  for (const cuda::CudaDevice& device : *devices) {
    text += fmt::format(
        "{}device   {}: {}, compute capability {}.{}, {}",
        device.ordinal == 0 ? "" : "\n",
        device.ordinal,
        device.name,
        device.compute_major,
        device.compute_minor,
        format_bytes(device.memory_bytes)
    );
  }
  return text;
}

int run(int argc, char** argv) {
  CLI::App program(
      "Runs OpenAI's gpt-oss models: generate, score, benchmark, inspect.", "gossamer"
  );
  program.set_version_flag(
      "--version", version_text, "Print the version, the build and the devices"
  );
  program.footer(kFooter);
  program.require_subcommand(1);
  const std::vector<Command> commands = {
      add_generate(program),
      add_score(program),
      add_serve(program),
      add_bench(program),
      add_harmony(program),
      add_inspect(program),
      add_synthesize(program),
      add_tokenize(program),
  };
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : kUsageStatus;
  }
  for (const Command& command : commands) {
    if (command.app->parsed()) return command.run();
  }
  return 0;
}

}  // namespace
}  // namespace gossamer::apps

int main(int argc, char** argv) {
  // A reader that goes away (`gossamer … | head`) ends the program quietly, even where the parent
  // process ignores the signal.
  std::signal(SIGPIPE, SIG_DFL);
  try {
    const int status = gossamer::apps::run(argc, argv);
    const bool written = std::cout.good() && std::fflush(stdout) == 0;
    if (status == 0 && !written) {
      return gossamer::apps::fail("cannot write the output; is the disk full?");
    }
    return status;
  } catch (const std::exception& error) {
    return gossamer::apps::fail(error.what());
  }
}
