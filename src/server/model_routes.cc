// Which model there is, and its tokens.

#include <algorithm>
#include <utility>
#include <vector>

#include "api/json_reader.h"
#include "api/model_list.h"
#include "api/tokenize.h"
#include "server/endpoints.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

api::ModelCard card_of(const ServedModel& model, const std::string& name) {
  return {.id = name, .created = model.created_at, .context_length = model.context_length};
}

api::Json list_of(const ServedModel& model) {
  std::vector<api::ModelCard> cards;
  for (const std::string& name : model.names) cards.push_back(card_of(model, name));
  return api::model_list_json(cards);
}

api::ApiResult<api::Json> find_model(const ServedModel& model, const std::string& name) {
  const auto& names = model.names;
  if (std::find(names.begin(), names.end(), name) != names.end()) {
    return api::model_json(card_of(model, name));
  }
  return api::ApiError{
      .status = 404,
      .code = "model_not_found",
      .param = "model",
      .message = "there is no model " + name + " here, only " + names.front()};
}

/// What Ollama's clients ask before they use its other routes.
api::Json ollama_version() {
  return {{"version", "0.14.0"}};
}

api::Json ollama_tags(const ServedModel& model) {
  api::Json models = api::Json::array();
  for (const std::string& name : model.names) models.push_back({{"name", name}, {"model", name}});
  return {{"models", std::move(models)}};
}

/// Answers with what `make` makes of the model and the request.
using Maker = std::function<api::ApiResult<api::Json>(
    const ServedModel& model, const http::Request& request, const std::string& id
)>;

asio::awaitable<void> answer(
    Service& service, http::Exchange& exchange, const Maker& make, std::string id
) {
  const auto model = co_await service.model().wait();
  if (!model.ok()) {
    co_await reply_error(service, exchange, model.error());
    co_return;
  }
  const auto body = make(**model, exchange.request(), id);
  if (body.ok()) {
    co_await reply_json(exchange, 200, *body);
  } else {
    co_await reply_error(service, exchange, body.error());
  }
}

void add(
    Router& router,
    Service& service,
    const char* method,
    const char* pattern,
    Maker make,
    Route::Id id_form = Route::Id::kOnePart
) {
  router.add(
      method,
      pattern,
      [&service, make = std::move(make)](http::Exchange& exchange, std::string id) {
        return answer(service, exchange, make, std::move(id));
      },
      id_form
  );
}

}  // namespace

void add_model_routes(Router& router, Service& service) {
  using Request = http::Request;
  using Body = api::ApiResult<api::Json>;
  add(router,
      service,
      "GET",
      "/v1/models",
      [](const auto& model, const Request&, const auto&) -> Body { return list_of(model); });
  const auto find = [](const auto& model, const Request&, const auto& id) {
    return find_model(model, id);
  };
  add(router, service, "GET", "/v1/models/{id}", find, Route::Id::kManyParts);
  const auto tokenize = [&service](const auto& model, const Request& request, const auto&) -> Body {
    const auto body = api::parse_body(request.body);
    if (!body.ok()) return body.error();
    const auto defaults = chat_defaults(service, model);
    return api::tokenize(*body, model.encoding, defaults, model.context_length);
  };
  const auto detokenize = [](const auto& model, const Request& request, const auto&) -> Body {
    const auto body = api::parse_body(request.body);
    if (!body.ok()) return body.error();
    return api::detokenize(*body, model.encoding.tokenizer());
  };
  for (const char* prefix : {"", "/v1"}) {
    const std::string base = prefix;
    add(router, service, "POST", (base + "/tokenize").c_str(), tokenize);
    add(router, service, "POST", (base + "/detokenize").c_str(), detokenize);
  }
  add(router, service, "GET", "/api/version", [](const auto&, const Request&, const auto&) -> Body {
    return ollama_version();
  });
  add(router,
      service,
      "GET",
      "/api/tags",
      [](const auto& model, const Request&, const auto&) -> Body { return ollama_tags(model); });
}

}  // namespace gossamer::server
