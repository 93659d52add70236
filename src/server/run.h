#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/server.h"
#include "server/log.h"
#include "server/served_model.h"
#include "tools/tool.h"

namespace gossamer::server {

/// Everything that a server is told.
struct RunOptions {
  http::ServerOptions http;
  bool allow_without_key = false;  ///< on an address that others can reach

  /// Where responses are kept; nothing: they are not.
  std::optional<std::filesystem::path> store_file;
  std::int64_t store_max_bytes = std::int64_t{1} << 30;
  int store_max_age_days = 30;

  std::vector<std::shared_ptr<const tools::Tool>> tools;
  std::optional<std::string> date;  ///< shown to the model; today's when not set
  Log::Prompts prompts = Log::Prompts::kLeftOut;
  std::chrono::seconds drain_patience{30};
};

/// Loads a model, telling how far it is, 0 to 1.
using ModelLoader = std::function<Result<ServedModel>(const std::function<void(double)>& progress)>;

/// What the process around the server learns, e.g. to tell a service manager.
struct RunEvents {
  std::function<void(std::uint16_t port)> on_listening = [](std::uint16_t) {};
  std::function<void()> on_ready = [] {};
  std::function<void()> on_stopping = [] {};
};

/// Serves until SIGTERM, SIGINT or SIGHUP (unless that is ignored), then lets requests end; a
/// second signal ends at once. Accepts requests while the model loads; they wait. Errors: what
/// keeps the server from starting, and a model that cannot be loaded.
Status run(const RunOptions& options, const ModelLoader& load, const RunEvents& events);

}  // namespace gossamer::server
