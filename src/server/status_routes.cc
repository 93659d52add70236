// Whether the server is well, and what it is doing.

#include <optional>

#include "server/endpoints.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

/// Why the server answers nothing, and will not.
std::optional<Error> failure_of(const ModelSlot& slot) {
  if (const ServedModel* model = slot.get()) return model->generator->status().failure;
  return slot.failure();
}

asio::awaitable<void> health(Service& service, http::Exchange& exchange) {
  const ModelSlot& model = service.model();
  api::Json body = {{"status", "ok"}};
  int status = 200;
  if (const auto failure = failure_of(model)) {
    status = 503;
    body = {{"status", "failed"}, {"error", failure->message}};
  } else if (model.get() == nullptr) {
    status = 503;
    body = {{"status", "loading"}, {"progress", model.progress()}};
  }
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
