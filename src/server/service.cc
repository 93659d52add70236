#include "server/service.h"

#include <fmt/format.h>

#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

#include "server/endpoints.h"
#include "server/response_jobs.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

constexpr int kPoolThreads = 4;
constexpr int kToolThreads = 8;

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

// g++ 12 destroys a braced temporary in the operand of a co_await twice: such things are made here.

api::ApiError no_such_path(const http::Request& request) {
  return {
      .status = 404,
      .code = "not_found",
      .message = fmt::format("there is nothing at {} {}", request.method, request.path)};
}

api::ApiError wrong_method(const http::Request& request, const std::string& allowed) {
  return {
      .status = 405,
      .code = "method_not_allowed",
      .message = fmt::format("{} is asked for with {}", request.path, allowed)};
}

http::Headers allow_header(const std::string& allowed) {
  return {{"Allow", allowed}};
}

}  // namespace

Service::Service(
    asio::io_context& context, ServiceOptions options, std::unique_ptr<store::ResponseStore> store
)
    : context_(context),
      options_(std::move(options)),
      seal_(options_.seal_key),
      log_(options_.prompts),
      store_(std::move(store)),
      jobs_(std::make_unique<ResponseJobs>()),
      pool_(kPoolThreads),
      tool_pool_(kToolThreads) {
  add_response_routes(router_, *this);
  add_chat_routes(router_, *this);
  add_completion_routes(router_, *this);
  add_model_routes(router_, *this);
  add_status_routes(router_, *this);
}

Service::~Service() = default;

asio::awaitable<void> Service::handle(http::Exchange& exchange) {
  const http::Request& request = exchange.request();
  if (log_.prompts() && !request.body.empty()) {
    log_.info("body", {{"id", request.id}, {"text", request.body}});
  }
  RouteMatch match = router_.find(request.method, request.path);
  if (match.route != nullptr) {
    co_await answer(*match.route, exchange, std::move(match.id));
  } else if (match.allowed.empty()) {
    const api::ApiError error = no_such_path(request);
    co_await reply_error(*this, exchange, error);
  } else {
    const std::string allowed = joined(match.allowed);
    std::string body = api::to_text(api::to_json(wrong_method(request, allowed)));
    http::Headers headers = allow_header(allowed);
    co_await exchange.reply(405, "application/json", std::move(body), std::move(headers));
  }
}

asio::awaitable<void> Service::answer(
    const Route& route, http::Exchange& exchange, std::string id
) {
  try {
    co_await route.handler(exchange, std::move(id));
  } catch (const boost::system::system_error&) {
    throw;  // the client is gone, or the server stops
  } catch (const std::exception& exception) {
    log_.error("failed", {{"id", exchange.request().id}, {"reason", exception.what()}});
    throw;
  }
}

std::string Service::error_body(int status, const std::string& message) {
  const bool is_ours = status >= 500;
  const api::ApiError error{
      .status = status,
      .type = is_ours ? "server_error" : "invalid_request_error",
      .code = status == 401 ? "invalid_api_key" : "",
      .message = message};
  return api::to_text(api::to_json(error));
}

void Service::record(const http::AccessRecord& record) {
  const http::Request& request = *record.request;
  metrics_.answered(router_.pattern_of(request.path), record.status);
  log_.info(
      "request",
      {{"id", request.id},
       {"method", request.method},
       {"path", request.path},
       {"status", std::to_string(record.status)},
       {"bytes", std::to_string(record.bytes_sent)},
       {"seconds", fmt::format("{:.3f}", record.seconds)},
       {"client", request.client}}
  );
}

Asker Service::asker_of(const http::Request& request) const {
  return {.client = request.client, .owner = options_.asks_for_keys ? request.client : ""};
}

void Service::log_warnings(const http::Request& request, const std::vector<std::string>& warnings)
    const {
  for (const std::string& warning : warnings) {
    log_.warn("request", {{"id", request.id}, {"what", warning}});
  }
}

const std::vector<std::string>& Service::open_paths() {
  static const std::vector<std::string> paths = {"/health"};
  return paths;
}

void Service::stop_background() {
  jobs_->cancel_all();
}

api::ApiError server_failed() {
  return {.status = 500, .type = "server_error", .message = "the server failed at this request"};
}

api::ApiError server_stopping() {
  return {.status = 503, .type = "server_error", .message = "the server is stopping"};
}

asio::awaitable<std::optional<api::ApiResult<void>>> unless_stopped(
    Service& service, asio::awaitable<api::ApiResult<void>> answer
) {
  std::optional<api::ApiResult<void>> done;
  try {
    done = co_await std::move(answer);
  } catch (const boost::system::system_error&) {
    if (!service.is_stopping()) throw;
  }
  if (!done) co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_return done;
}

asio::awaitable<void> reply_json(http::Exchange& exchange, int status, const api::Json& body) {
  std::string text = api::to_text(body);
  co_await exchange.reply(status, "application/json", std::move(text));
}

asio::awaitable<void> reply_error(
    Service& service, http::Exchange& exchange, const api::ApiError& error
) {
  if (error.status >= 500) {
    service.log().error("failed", {{"id", exchange.request().id}, {"reason", error.message}});
  }
  http::Headers headers;
  if (error.status == 429 || error.status == 503) headers.emplace_back("Retry-After", "2");
  std::string body = api::to_text(api::to_json(error));
  co_await exchange.reply(error.status, "application/json", std::move(body), std::move(headers));
}

}  // namespace gossamer::server
