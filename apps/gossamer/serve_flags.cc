#include "apps/gossamer/serve_flags.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "tools/tool_set.h"

namespace gossamer::apps {
namespace {

/// Keys by line: "KEY" or "NAME KEY"; "#" begins a comment.
Result<std::map<std::string, std::string>> read_api_keys(const std::string& path) {
  std::map<std::string, std::string> keys;
  std::ifstream file(path);
  if (!file) return make_error(ErrorCode::kIo, "--api-key-file {}: cannot read", path);
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    std::string name;
    std::string key;
    std::string more;
    if (!(words >> name)) continue;
    if (!(words >> key)) {
      key = name;
      name = fmt::format("key-{}", number);
    }
    if (words >> more) {
      return make_error(
          ErrorCode::kInvalidArgument,
          "--api-key-file {}, line {}: a line is KEY, or NAME and KEY",
          path,
          number
      );
    }
    keys.emplace(std::move(key), std::move(name));
  }
  if (!keys.empty()) return keys;
  return make_error(ErrorCode::kInvalidArgument, "--api-key-file {}: there is no key in it", path);
}

/// Where programs keep what should outlive them: what systemd says, or the user's own place.
std::optional<std::filesystem::path> state_folder() {
  if (const char* state = std::getenv("STATE_DIRECTORY")) return state;
  if (const char* state = std::getenv("XDG_STATE_HOME")) {
    return std::filesystem::path(state) / "gossamer";
  }
  if (const char* home = std::getenv("HOME")) {
    return std::filesystem::path(home) / ".local/state/gossamer";
  }
  return std::nullopt;
}

std::optional<std::filesystem::path> store_file(const ServeFlags& flags) {
  if (flags.store == "none") return std::nullopt;
  if (!flags.store.empty()) return flags.store;
  const auto folder = state_folder();
  if (!folder) return std::nullopt;
  return *folder / "responses.sqlite";
}

}  // namespace

void add_serve_flags(CLI::App& app, ServeFlags& flags) {
  app.add_option("--host", flags.host, "Address to listen on")->capture_default_str();
  app.add_option("--port", flags.port, "Port to listen on; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option(
         "--api-key-file", flags.api_key_file, "Ask for a key: a line for each, KEY or NAME KEY"
  )
      ->type_name("FILE");
  app.add_flag(
      "--allow-without-key",
      flags.allow_without_key,
      "Listen where others can reach it without asking for a key"
  );
  app.add_option(
         "--cors-origin", flags.cors_origins, "Origin that browsers may call from; * for any"
  )
      ->type_name("ORIGIN");
  auto* certificate =
      app.add_option("--tls-certificate", flags.tls_certificate, "Certificate chain, PEM: https")
          ->type_name("FILE");
  auto* key = app.add_option("--tls-key", flags.tls_key, "Private key, PEM")->type_name("FILE");
  certificate->needs(key);
  key->needs(certificate);
  app.add_option(
         "--store",
         flags.store,
         "Where responses are kept: a file, or none; in the user's state folder when not given"
  )
      ->type_name("FILE");
  app.add_option("--store-max-bytes", flags.store_max_bytes, "The oldest responses go past this")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--store-max-age-days", flags.store_max_age_days, "... and when they are older")
      ->check(CLI::Range(1, 36500))
      ->capture_default_str();
  app.add_option("--tool", flags.tools, "Let the model use a tool of gossamer: clock")
      ->type_name("NAME");
  app.add_option(
      "--date", flags.date, "Today for the model, as 2026-01-31; the clock's when not given"
  );
  app.add_option(
         "--drain-seconds", flags.drain_seconds, "How long answers may take once the server stops"
  )
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  app.add_flag("--log-prompts", flags.log_prompts, "Write what users ask into the log");
  app.add_option(
         "--served-model-name", flags.names, "Name of the model in the API; may be repeated"
  )
      ->type_name("NAME");
}

Result<server::RunOptions> run_options(const ServeFlags& flags) {
  server::RunOptions options;
  options.http.host = flags.host;
  options.http.port = static_cast<std::uint16_t>(flags.port);
  options.http.cors_origins = flags.cors_origins;
  if (!flags.api_key_file.empty()) {
    GOSSAMER_ASSIGN_OR_RETURN(options.http.api_keys, read_api_keys(flags.api_key_file));
  }
  if (!flags.tls_certificate.empty()) {
    options.http.tls = http::TlsFiles{flags.tls_certificate, flags.tls_key};
  }
  options.allow_without_key = flags.allow_without_key;
  options.store_file = store_file(flags);
  options.store_max_bytes = flags.store_max_bytes;
  options.store_max_age_days = flags.store_max_age_days;
  const std::vector<std::string_view> tools(flags.tools.begin(), flags.tools.end());
  GOSSAMER_ASSIGN_OR_RETURN(const auto tool_set, tools::ToolSet::create(tools));
  options.tools = tool_set.all();
  if (!flags.date.empty()) options.date = flags.date;
  options.drain_patience = std::chrono::seconds(flags.drain_seconds);
  if (flags.log_prompts) options.prompts = server::Log::Prompts::kLogged;
  return options;
}

server::RunEvents run_events(const ServeFlags& flags) {
  const bool is_tls = !flags.tls_certificate.empty();
  const std::string host =
      flags.host.find(':') == std::string::npos ? flags.host : fmt::format("[{}]", flags.host);
  return {
      .on_listening =
          [is_tls, host](std::uint16_t port) {
            fmt::print(stderr, "listening on {}://{}:{}\n", is_tls ? "https" : "http", host, port);
          },
      .on_ready = [] { sd_notify(0, "READY=1"); },
      .on_stopping = [] { sd_notify(0, "STOPPING=1"); }};
}

}  // namespace gossamer::apps
