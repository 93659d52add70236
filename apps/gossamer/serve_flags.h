#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "server/run.h"

namespace gossamer::apps {

/// The flags of a server, whatever model it answers with.
struct ServeFlags {
  std::string host = "127.0.0.1";
  int port = 8000;
  std::string api_key_file;
  bool allow_without_key = false;
  std::vector<std::string> cors_origins;
  std::string tls_certificate;
  std::string tls_key;
  std::string store;  ///< a file, "none", or empty for the default place
  std::int64_t store_max_bytes = std::int64_t{1} << 30;
  int store_max_age_days = 30;
  std::vector<std::string> tools;
  std::string date;
  int drain_seconds = 30;
  bool log_prompts = false;
  std::vector<std::string> names;
};

void add_serve_flags(CLI::App& app, ServeFlags& flags);

/// Errors name the flag, or the line of the key file.
Result<server::RunOptions> run_options(const ServeFlags& flags);

/// Tells the user where the server listens, and the service manager, if there is one, how it is.
server::RunEvents run_events(const ServeFlags& flags);

}  // namespace gossamer::apps
