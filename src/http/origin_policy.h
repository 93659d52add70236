#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.h"

namespace gossamer::http {

/// What web pages may do with a server (CORS), and what they may not. Immutable: any thread.
///
/// A browser on this machine lets any page send requests to a loopback port, so that listening on
/// 127.0.0.1 alone keeps nobody's page out:
/// * A page can send a POST that changes something without being able to read the answer. A request
///   that is no GET and has an Origin that is neither allowed nor the server's own is refused.
/// * With DNS rebinding, a page's own name leads to 127.0.0.1, and it is the server's own origin as
///   far as the browser knows. Its name is then in Host. Where no key is asked for on loopback, a
///   Host that a stranger can own in the public DNS is refused.
class OriginPolicy {
 public:
  enum class HostCheck { kAnyName, kPrivateNamesOnly };

  /// `allowed`: origins such as "http://localhost:3000"; "*" for any.
  OriginPolicy(const std::vector<std::string>& allowed, HostCheck host_check);

  /// Why the request must be refused with 403, or nothing.
  std::optional<std::string> objection(const Request& request) const;

  /// Whether a browser asks what it may do, which the server answers by itself.
  static bool is_preflight(const Request& request);

  /// The headers of every answer to this request.
  Headers headers(const Request& request) const;

  /// The further headers of the answer to a preflight that has no objection.
  static Headers preflight_headers(const Request& request);

 private:
  bool allows(const std::string& origin) const;

  bool any_ = false;
  HostCheck host_check_;
  std::set<std::string> allowed_;
  std::set<std::string> allowed_names_;
};

}  // namespace gossamer::http
