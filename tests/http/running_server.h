#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "http/server.h"

namespace gossamer::http {

/// Whether a condition becomes true within 20 seconds.
bool eventually(const std::function<bool()>& condition);

/// A server on a free port, with threads that run it. Its handler:
///
/// * /echo: method, path, query "name", body and client, one a line
/// * /size: how large the body is
/// * /wait: nothing, until it is cancelled
/// * /stream?n=N: N events; /trickle: one event, then nothing until cancelled
/// * /endless: 64 kB parts for ever
/// * /big?n=N: N bytes
/// * /nothing, /throw, /midway: returns without an answer, throws, throws within a stream
/// * /last-words: when cancelled by the server, sends an event and ends the stream
class RunningServer {
 public:
  explicit RunningServer(ServerOptions options = {}, int num_threads = 1);
  ~RunningServer();
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  std::uint16_t port() const { return server_->port(); }
  Server& server() { return *server_; }
  boost::asio::io_context& context() { return context_; }

  /// Handlers of /wait, /trickle, /endless that are under way.
  int num_waiting() const { return num_waiting_; }
  /// Statuses of the access records, in order.
  std::vector<int> statuses();
  bool has_no_connection();
  /// Starts Server::drain() and returns.
  void begin_drain(std::chrono::seconds patience);
  bool is_drained() const { return is_drained_; }

 private:
  boost::asio::awaitable<void> handle(Exchange& exchange);

  std::atomic<int> num_waiting_ = 0;
  std::atomic<bool> is_drained_ = false;
  std::mutex mutex_;
  std::vector<int> statuses_;
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::unique_ptr<Server> server_;
  std::vector<std::thread> threads_;
};

}  // namespace gossamer::http
