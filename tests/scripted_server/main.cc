// gossamer's server with a script in the place of the model: what clients see is real, what the
// model says is known. Usage: scripted_server --script FILE, and the flags of `gossamer serve`.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "apps/gossamer/serve_flags.h"
#include "server/run.h"
#include "tests/scripted_server/scripted_generator.h"
#include "tests/scripted_server/stuck_tool.h"

namespace gossamer::scripted_server {
namespace {

Result<server::ServedModel> load(const std::string& path) {
  GOSSAMER_ASSIGN_OR_RETURN(Script script, read_script(path));
  GOSSAMER_ASSIGN_OR_RETURN(auto tokenizer, tokenizer::Tokenizer::o200k_harmony());
  GOSSAMER_ASSIGN_OR_RETURN(auto encoding, harmony::Encoding::create(std::move(tokenizer)));
  const int context_length = script.context_length;
  return server::ServedModel{
      .names = {"gpt-oss-20b", "openai/gpt-oss-20b", "gpt-oss:20b"},
      .encoding = encoding,
      .generator = std::make_unique<ScriptedGenerator>(encoding, std::move(script)),
      .context_length = context_length};
}

struct ScriptFlags {
  std::string script;
  bool has_stuck_tool = false;
};

Status serve(const apps::ServeFlags& flags, const ScriptFlags& script_flags) {
  GOSSAMER_ASSIGN_OR_RETURN(server::RunOptions options, apps::run_options(flags));
  if (script_flags.has_stuck_tool) options.tools.push_back(std::make_shared<StuckTool>());
  return server::run(
      options,
      [&](const std::function<void(double)>&) { return load(script_flags.script); },
      apps::run_events(flags)
  );
}

}  // namespace
}  // namespace gossamer::scripted_server

int main(int argc, char** argv) {
  CLI::App app("gossamer's server with a script in the place of the model");
  gossamer::apps::ServeFlags flags;
  gossamer::scripted_server::ScriptFlags script_flags;
  app.add_option("--script", script_flags.script, "What the model says, JSON")->required();
  app.add_flag("--stuck-tool", script_flags.has_stuck_tool, "Offer a tool that never answers");
  gossamer::apps::add_serve_flags(app, flags);
  CLI11_PARSE(app, argc, argv);
  const gossamer::Status status = gossamer::scripted_server::serve(flags, script_flags);
  if (status.ok()) return 0;
  fmt::print(stderr, "scripted_server: {}\n", status.error().message);
  return 1;
}
