// Whether the server is well, and what it is doing.

#include <optional>

#include "server/endpoints.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

api::Json health_body(const ModelSlot& model) {
  if (model.get() != nullptr) return {{"status", "ok"}};
  if (const auto error = model.failure()) {
    return {{"status", "failed"}, {"error", error->message}};
  }
  return {{"status", "loading"}, {"progress", model.progress()}};
}

asio::awaitable<void> health(Service& service, http::Exchange& exchange) {
  const int status = service.model().get() != nullptr ? 200 : 503;
  const api::Json body = health_body(service.model());
  co_await reply_json(exchange, status, body);
}

asio::awaitable<void> metrics(Service& service, http::Exchange& exchange) {
  std::optional<engine::GeneratorStatus> status;
  if (const ServedModel* model = service.model().get()) status = model->generator->status();
  std::string text = service.metrics().text(status ? &*status : nullptr, service.num_connections());
  co_await exchange.reply(200, "text/plain; version=0.0.4; charset=utf-8", std::move(text));
}

}  // namespace

void add_status_routes(Router& router, Service& service) {
  router.add("GET", "/health", [&service](http::Exchange& exchange, const std::string&) {
    return health(service, exchange);
  });
  router.add("GET", "/metrics", [&service](http::Exchange& exchange, const std::string&) {
    return metrics(service, exchange);
  });
}

}  // namespace gossamer::server
