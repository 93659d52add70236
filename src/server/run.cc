#include "server/run.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <system_error>
#include <thread>
#include <utility>

#include "base/local_date.h"
#include "http/bind_policy.h"
#include "server/service.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

constexpr int kIoThreads = 2;

Status check_exposure(const RunOptions& options) {
  const http::ServerOptions& http = options.http;
  const bool is_safe =
      http::is_loopback(http.host) || !http.api_keys.empty() || options.allow_without_key;
  if (is_safe) return {};
  return make_error(
      ErrorCode::kInvalidArgument,
      "{} can be reached by others, and no API key is asked for; give --api-key-file, listen on "
      "127.0.0.1, or say --allow-without-key",
      http.host
  );
}

using SealKey = api::SealedReasoning::Key;

SealKey random_seal_key() {
  SealKey key{};
  GOSSAMER_CHECK(RAND_bytes(key.data(), static_cast<int>(key.size())) == 1);
  return key;
}

/// The key of a store: reasoning that clients hold stays readable over restarts.
Result<SealKey> seal_key_of(const std::filesystem::path& store_file) {
  const std::string path = store_file.string() + ".key";
  SealKey key{};
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(key.data()), key.size());
  if (file.gcount() == static_cast<std::streamsize>(key.size())) return key;
  key = random_seal_key();
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool is_written = descriptor >= 0 && ::write(descriptor, key.data(), key.size()) ==
                                                 static_cast<ssize_t>(key.size());
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (is_written) return key;
  return make_error(ErrorCode::kIo, "{}: cannot write: {}", path, std::strerror(reason));
}

Result<std::unique_ptr<store::ResponseStore>> open_store(const RunOptions& options) {
  if (!options.store_file) return std::unique_ptr<store::ResponseStore>();
  std::error_code error;
  const auto folder = options.store_file->parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) {
    return make_error(
        ErrorCode::kIo, "{}: cannot make the folder: {}", folder.string(), error.message()
    );
  }
  return store::ResponseStore::open(
      {.file = *options.store_file,
       .max_bytes = options.store_max_bytes,
       .max_age_seconds = std::int64_t{options.store_max_age_days} * 24 * 3600}
  );
}

Result<std::unique_ptr<Service>> make_service(
    asio::io_context& context, const RunOptions& options
) {
  GOSSAMER_ASSIGN_OR_RETURN(auto store, open_store(options));
  SealKey seal_key = random_seal_key();
  if (options.store_file) {
    GOSSAMER_ASSIGN_OR_RETURN(seal_key, seal_key_of(*options.store_file));
  }
  ServiceOptions service_options{
      .date = [date = options.date](std::time_t time) { return date ? *date : local_date(time); },
      .tools = options.tools,
      .asks_for_keys = !options.http.api_keys.empty(),
      .seal_key = seal_key,
      .prompts = options.prompts};
  const auto warnings = store ? store->warnings() : std::vector<std::string>();
  auto service = std::make_unique<Service>(context, std::move(service_options), std::move(store));
  for (const std::string& warning : warnings) service->log().warn("store", {{"what", warning}});
  return service;
}

/// Whether whoever started the program wants it to outlive its terminal.
bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

/// The loader's result. A device that fails while it loads throws.
Result<ServedModel> loaded(const ModelLoader& load, const std::function<void(double)>& progress) {
  try {
    return load(progress);
  } catch (const std::exception& exception) {
    return make_error(ErrorCode::kIo, "the model cannot be loaded: {}", exception.what());
  }
}

/// The server's life: from the first connection to the last.
class Run {
 public:
  Run(asio::io_context& context,
      Service& service,
      http::Server& server,
      const RunOptions& options,
      const RunEvents& events)
      : context_(context),
        service_(service),
        server_(server),
        options_(options),
        events_(events),
        signals_(context, SIGTERM, SIGINT) {
    if (!is_ignored(SIGHUP)) signals_.add(SIGHUP);
  }

  Status run(const ModelLoader& load) {
    asio::co_spawn(context_, stop_on_signal(), asio::detached);
    std::thread loader([&] { load_model(load); });
    std::vector<std::thread> threads;
    for (int i = 1; i < kIoThreads; ++i) threads.emplace_back([&] { run_context(); });
    run_context();
    for (std::thread& thread : threads) thread.join();
    loader.join();
    const auto failure = service_.model().failure();
    if (failure) return *failure;
    return {};
  }

 private:
  /// What one handler throws (there is no memory, say) must not end what the others do.
  void run_context() {
    for (;;) {
      try {
        context_.run();
        return;
      } catch (const std::exception& exception) {
        service_.log().error("internal", {{"what", exception.what()}});
      }
    }
  }

  void load_model(const ModelLoader& load) {
    ModelSlot& slot = service_.model();
    slot.set(loaded(load, [&slot](double progress) { slot.set_progress(progress); }));
    if (slot.get() != nullptr) {
      events_.on_ready();
    } else {
      // Nothing can be answered: whoever started the server must see why.
      asio::post(context_, [this] { ::raise(SIGTERM); });
    }
  }

  asio::awaitable<void> stop_on_signal() {
    const int reason = co_await signals_.async_wait(asio::use_awaitable);
    events_.on_stopping();
    service_.log().info(
        "stopping",
        {{"signal", ::strsignal(reason)},
         {"connections", std::to_string(server_.num_connections())}}
    );
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      service_.log().warn("stopped at once", {{"signal", ::strsignal(signal)}});
      std::_Exit(128 + signal);
    });
    service_.begin_stopping();
    co_await server_.drain(options_.drain_patience);
    service_.stop_background();
    signals_.cancel();
  }

  asio::io_context& context_;
  Service& service_;
  http::Server& server_;
  const RunOptions& options_;
  const RunEvents& events_;
  asio::signal_set signals_;
};

}  // namespace

Status run(const RunOptions& options, const ModelLoader& load, const RunEvents& events) {
  GOSSAMER_RETURN_IF_ERROR(check_exposure(options));
  // Clients and readers of the log that go away, and a limit on the size of files, are errors of a
  // write, not the end.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  asio::io_context context(kIoThreads);
  GOSSAMER_ASSIGN_OR_RETURN(const auto service, make_service(context, options));
  http::ServerOptions http = options.http;
  http.open_paths = Service::open_paths();
  GOSSAMER_ASSIGN_OR_RETURN(
      const auto server,
      http::Server::create(
          context,
          http,
          [&service](http::Exchange& exchange) { return service->handle(exchange); },
          Service::error_body,
          [&service](const http::AccessRecord& record) { service->record(record); }
      )
  );
  service->set_connection_count([&server] { return server->num_connections(); });
  events.on_listening(server->port());
  return Run(context, *service, *server, options, events).run(load);
}

}  // namespace gossamer::server
