#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/sealed_reasoning.h"
#include "http/exchange.h"
#include "http/server.h"
#include "server/blocking_pool.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/router.h"
#include "server/served_model.h"
#include "store/response_store.h"
#include "tools/tool.h"

namespace gossamer::server {

class ResponseJobs;

struct ServiceOptions {
  /// The day of a time, "2026-01-31": shown to the model.
  std::function<std::string(std::time_t)> date;
  std::vector<std::shared_ptr<const tools::Tool>> tools;
  bool asks_for_keys = false;            ///< then responses belong to who made them
  api::SealedReasoning::Key seal_key{};  ///< what reasoning is sealed with
  Log::Prompts prompts = Log::Prompts::kLeftOut;
};

/// Who sent a request.
struct Asker {
  std::string client;  ///< whose turn it is: the name of the key, or the address
  std::string owner;   ///< whose responses these are: the name of the key, or empty

  /// As engine::Request::user, for whom the client says that it asks: apart from other clients'.
  std::string user(const std::string& name) const { return client + '/' + name; }
};

/// The API: every route, and what the routes share. Runs on the io_context's threads.
class Service {
 public:
  /// `store` may be null: nothing is kept. Everything must outlive the io_context's run.
  Service(
      boost::asio::io_context& context,
      ServiceOptions options,
      std::unique_ptr<store::ResponseStore> store
  );
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// For http::Server.
  boost::asio::awaitable<void> handle(http::Exchange& exchange);
  static std::string error_body(int status, const std::string& message);
  void record(const http::AccessRecord& record);
  static const std::vector<std::string>& open_paths();

  Asker asker_of(const http::Request& request) const;

  /// What was left out or changed of a request.
  void log_warnings(const http::Request& request, const std::vector<std::string>& warnings) const;

  /// Lets /metrics tell how many connections are open.
  void set_connection_count(std::function<int()> count) { connection_count_ = std::move(count); }

  /// What is cancelled from here on was no client's wish: it is told that it failed. Any thread.
  void begin_stopping() { is_stopping_ = true; }
  bool is_stopping() const { return is_stopping_; }

  /// Ends what runs in the background.
  void stop_background();

  ModelSlot& model() { return model_; }
  const Log& log() const { return log_; }
  Metrics& metrics() { return metrics_; }
  const api::SealedReasoning& seal() const { return seal_; }
  /// For the store's file.
  BlockingPool& pool() { return pool_; }
  /// For tools: those that hang keep nobody from the store.
  BlockingPool& tool_pool() { return tool_pool_; }
  store::ResponseStore* store() { return store_.get(); }
  ResponseJobs& jobs() { return *jobs_; }
  const ServiceOptions& options() const { return options_; }
  int num_connections() const { return connection_count_ ? connection_count_() : 0; }
  boost::asio::io_context& context() { return context_; }

 private:
  boost::asio::awaitable<void> answer(const Route& route, http::Exchange& exchange, std::string id);

  boost::asio::io_context& context_;
  ServiceOptions options_;
  api::SealedReasoning seal_;
  Log log_;
  Metrics metrics_;
  std::unique_ptr<store::ResponseStore> store_;
  ModelSlot model_;
  std::unique_ptr<ResponseJobs> jobs_;
  Router router_;
  std::function<int()> connection_count_;
  std::atomic<bool> is_stopping_{false};
  BlockingPool pool_;  // last: their threads end before what they use
  BlockingPool tool_pool_;
};

}  // namespace gossamer::server
