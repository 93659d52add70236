#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.h"

namespace gossamer::server {

/// Answers one route. `id` is what stood in the place of "{id}", or empty.
using RouteHandler =
    std::function<boost::asio::awaitable<void>(http::Exchange& exchange, std::string id)>;

struct Route {
  std::string method;
  /// A path, in which one part may be "{id}".
  std::string pattern;

  /// Whether the id may hold slashes, as names of models do.
  enum class Id { kOnePart, kManyParts } id = Id::kOnePart;

  RouteHandler handler;
};

/// Where a request goes.
struct RouteMatch {
  const Route* route = nullptr;
  std::string id;
  std::vector<std::string> allowed;  ///< without a route: methods that the path knows; none: 404
};

/// Finds routes by method and path. Immutable once filled.
class Router {
 public:
  void add(
      std::string method,
      std::string pattern,
      RouteHandler handler,
      Route::Id id = Route::Id::kOnePart
  );

  /// HEAD goes where GET goes.
  RouteMatch find(std::string_view method, std::string_view path) const;

  /// The pattern of a path, whatever the method; "other" when there is none.
  std::string_view pattern_of(std::string_view path) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace gossamer::server
