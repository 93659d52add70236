#include "http/service.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "http/bind_policy.h"

namespace gossamer::http {

namespace {

OriginPolicy::HostCheck host_check(const ServerOptions& options) {
  return options.api_keys.empty() && is_loopback(options.host)
             ? OriginPolicy::HostCheck::kPrivateNamesOnly
             : OriginPolicy::HostCheck::kAnyName;
}

}  // namespace

int ConnectionList::size() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(connections_.size());
}

void ConnectionList::add(Connection* connection, const std::weak_ptr<Connection>& reference) {
  const std::lock_guard lock(mutex_);
  connections_[connection] = reference;
}

void ConnectionList::remove(Connection* connection) {
  std::function<void()> left;
  {
    const std::lock_guard lock(mutex_);
    connections_.erase(connection);
    left = left_;
  }
  if (left) left();
}

std::vector<std::shared_ptr<Connection>> ConnectionList::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Connection>> result;
  for (const auto& [connection, reference] : connections_) {
    if (auto alive = reference.lock()) result.push_back(std::move(alive));
  }
  return result;
}

void ConnectionList::notify(std::function<void()> left) {
  const std::lock_guard lock(mutex_);
  left_ = std::move(left);
}

Service::Service(
    const ServerOptions& server_options,
    Handler handler_,
    std::function<std::string(int, const std::string&)> on_error_,
    std::function<void(const AccessRecord&)> on_access_
)
    : options(server_options),
      keys(options.api_keys),
      origins(options.cors_origins, host_check(options)),
      handler(std::move(handler_)),
      on_error(std::move(on_error_)),
      on_access(std::move(on_access_)) {}

std::string make_request_id() {
  std::array<unsigned char, 12> random{};
  GOSSAMER_CHECK(RAND_bytes(random.data(), static_cast<int>(random.size())) == 1);
  std::string id = "req_";
  for (const unsigned char byte : random) fmt::format_to(std::back_inserter(id), "{:02x}", byte);
  return id;
}

}  // namespace gossamer::http
