#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/api_keys.h"
#include "http/exchange.h"
#include "http/origin_policy.h"
#include "http/server.h"
#include "http/tls_stream.h"

namespace gossamer::http {

class Connection;

/// The connections that exist. Any thread.
class ConnectionList {
 public:
  int size() const;
  void add(Connection* connection, const std::weak_ptr<Connection>& reference);
  /// Calls what was given to notify() when a connection has left.
  void remove(Connection* connection);
  std::vector<std::shared_ptr<Connection>> all() const;
  void notify(std::function<void()> left);

 private:
  mutable std::mutex mutex_;
  std::map<Connection*, std::weak_ptr<Connection>> connections_;
  std::function<void()> left_;
};

/// What the connections of a server share.
struct Service {
  Service(
      const ServerOptions& server_options,
      Handler handler_,
      std::function<std::string(int, const std::string&)> on_error_,
      std::function<void(const AccessRecord&)> on_access_
  );

  const ServerOptions options;
  const ApiKeys keys;
  const OriginPolicy origins;
  const Handler handler;
  const std::function<std::string(int, const std::string&)> on_error;
  const std::function<void(const AccessRecord&)> on_access;
  std::shared_ptr<TlsContext> tls;
  std::atomic<bool> is_draining = false;
  ConnectionList connections;
};

/// "req_" and 24 random hexadecimal digits.
std::string make_request_id();

}  // namespace gossamer::http
