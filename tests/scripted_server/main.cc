// gossamer's server with a script in the place of the model: what clients see is real, what the
// model says is known. Usage: scripted_server --script FILE, and the flags of `gossamer serve`.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "apps/gossamer/serve_flags.h"
#include "server/run.h"
#include "tests/scripted_server/scripted_generator.h"

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

Status serve(const apps::ServeFlags& flags, const std::string& script) {
  GOSSAMER_ASSIGN_OR_RETURN(const server::RunOptions options, apps::run_options(flags));
  return server::run(
      options,
      [&script](const std::function<void(double)>&) { return load(script); },
      apps::run_events(flags)
  );
}

}  // namespace
}  // namespace gossamer::scripted_server

int main(int argc, char** argv) {
  CLI::App app("gossamer's server with a script in the place of the model");
  gossamer::apps::ServeFlags flags;
  std::string script;
  app.add_option("--script", script, "What the model says, JSON")->required();
  gossamer::apps::add_serve_flags(app, flags);
  CLI11_PARSE(app, argc, argv);
  const gossamer::Status status = gossamer::scripted_server::serve(flags, script);
  if (status.ok()) return 0;
  fmt::print(stderr, "scripted_server: {}\n", status.error().message);
  return 1;
}
