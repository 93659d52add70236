#include "server/router.h"

#include <optional>
#include <utility>

namespace gossamer::server {
namespace {

/// What stands for "{id}" when the path fits the pattern.
std::optional<std::string> fit(const Route& route, std::string_view path) {
  const std::string_view pattern = route.pattern;
  constexpr std::string_view kId = "{id}";
  const auto place = pattern.find(kId);
  if (place == std::string_view::npos) {
    if (pattern == path) return "";
    return std::nullopt;
  }
  const std::string_view before = pattern.substr(0, place);
  const std::string_view after = pattern.substr(place + kId.size());
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) ||
      !path.ends_with(after)) {
    return std::nullopt;
  }
  const auto id = path.substr(before.size(), path.size() - before.size() - after.size());
  const bool has_slash = id.find('/') != std::string_view::npos;
  if (has_slash && route.id == Route::Id::kOnePart) return std::nullopt;
  return std::string(id);
}

/// Clients append to a base URL that may end in a slash.
std::string_view without_trailing_slash(std::string_view path) {
  return path.size() > 1 && path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
}

}  // namespace

void Router::add(std::string method, std::string pattern, RouteHandler handler, Route::Id id) {
  routes_.push_back({std::move(method), std::move(pattern), id, std::move(handler)});
}

RouteMatch Router::find(std::string_view method, std::string_view path) const {
  RouteMatch match;
  path = without_trailing_slash(path);
  if (method == "HEAD") method = "GET";
  for (const Route& route : routes_) {
    auto id = fit(route, path);
    if (!id) continue;
    if (route.method == method) return {.route = &route, .id = std::move(*id)};
    match.allowed.push_back(route.method);
  }
  return match;
}

std::string_view Router::pattern_of(std::string_view path) const {
  path = without_trailing_slash(path);
  for (const Route& route : routes_) {
    if (fit(route, path)) return route.pattern;
  }
  return "other";
}

}  // namespace gossamer::server
