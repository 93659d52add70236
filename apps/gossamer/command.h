#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace gossamer::apps {

/// One subcommand: its parsed flags live in `run`, which returns the exit status.
struct Command {
  CLI::App* app;
  std::function<int()> run;
};

// Each adds its subcommand to the program. One file a subcommand.
Command add_generate(CLI::App& program);
Command add_score(CLI::App& program);
Command add_serve(CLI::App& program);
Command add_bench(CLI::App& program);
Command add_harmony(CLI::App& program);
Command add_inspect(CLI::App& program);
Command add_synthesize(CLI::App& program);
Command add_tokenize(CLI::App& program);

/// Prints "gossamer: message" to stderr, in red on a terminal, and returns 1, the exit status of
/// failure.
int fail(const std::string& message);

}  // namespace gossamer::apps
