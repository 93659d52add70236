#include "http/origin_policy.h"

#include <fmt/format.h>

#include "http/bind_policy.h"

namespace gossamer::http {

namespace {

const std::string& header(const Request& request, const std::string& name) {
  static const std::string kNone;
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? kNone : found->second;
}

// "host:port" of "scheme://host:port".
std::string_view authority(std::string_view origin) {
  const auto scheme = origin.find("://");
  return scheme == std::string_view::npos ? std::string_view() : origin.substr(scheme + 3);
}

}  // namespace

OriginPolicy::OriginPolicy(const std::vector<std::string>& allowed, HostCheck host_check)
    : host_check_(host_check) {
  for (std::string origin : allowed) {
    while (origin.ends_with('/')) origin.pop_back();
    any_ = any_ || origin == "*";
    allowed_names_.insert(host_name(authority(origin)));
    allowed_.insert(std::move(origin));
  }
}

bool OriginPolicy::allows(const std::string& origin) const {
  return any_ || allowed_.contains(origin);
}

std::optional<std::string> OriginPolicy::objection(const Request& request) const {
  const std::string& host = header(request, "host");
  const std::string name = host_name(host);
  if (host_check_ == HostCheck::kPrivateNamesOnly && !any_ && !host.empty() &&
      !is_private_name(name) && !allowed_names_.contains(name)) {
    return fmt::format(
        "the Host {} could be any web page's; start the server with an API key, or allow the "
        "origin",
        host
    );
  }
  const std::string& origin = header(request, "origin");
  if (origin.empty() || request.method == "GET" || request.method == "HEAD") return std::nullopt;
  if (allows(origin) || authority(origin) == host) return std::nullopt;
  return fmt::format("the origin {} is not among those that this server allows", origin);
}

bool OriginPolicy::is_preflight(const Request& request) {
  return request.method == "OPTIONS" && !header(request, "origin").empty() &&
         !header(request, "access-control-request-method").empty();
}

Headers OriginPolicy::headers(const Request& request) const {
  if (allowed_.empty()) return {};
  const std::string& origin = header(request, "origin");
  // Caches must not give one origin's answer to another.
  if (origin.empty() || !allows(origin)) return {{"Vary", "Origin"}};
  return {
      {"Access-Control-Allow-Origin", any_ ? "*" : origin},
      {"Access-Control-Expose-Headers", "X-Request-Id, Retry-After"},
      {"Vary", "Origin"},
  };
}

Headers OriginPolicy::preflight_headers(const Request& request) {
  Headers result = {
      {"Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE, OPTIONS"},
      {"Access-Control-Max-Age", "600"},
  };
  const std::string& headers = header(request, "access-control-request-headers");
  if (!headers.empty()) result.emplace_back("Access-Control-Allow-Headers", headers);
  if (!header(request, "access-control-request-private-network").empty()) {
    result.emplace_back("Access-Control-Allow-Private-Network", "true");
  }
  return result;
}

}  // namespace gossamer::http
