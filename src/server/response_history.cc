#include "server/response_history.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "api/ids.h"
#include "api/responses_object.h"
#include "server/response_jobs.h"

namespace gossamer::server {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kPatience{30};

api::ApiError store_failure(const std::string& reason) {
  return {
      .status = 500,
      .type = "server_error",
      .message = "the stored responses cannot be read: " + reason};
}

/// Runs a call of the store on the pool.
template <class Value>
asio::awaitable<api::ApiResult<Value>> ask(
    Service& service, std::function<Result<Value>(store::ResponseStore&)> question
) {
  auto work = [store = service.store(), question](const std::stop_token&) {
    return question(*store);
  };
  auto answer = co_await service.pool().run(std::move(work), kPatience);
  if (!answer) co_return store_failure("the disk did not answer");
  if (answer->ok()) co_return std::move(**answer);
  if (answer->error().code == ErrorCode::kNotFound) {
    co_return api::invalid_request("previous_response_id", answer->error().message);
  }
  co_return store_failure(answer->error().message);
}

api::Json parse(const std::string& text) {
  return api::Json::parse(text, nullptr, false);
}

asio::awaitable<api::ApiResult<History>> earlier_items(
    Service& service, api::ResponsesRequest& request, const std::string& owner
) {
  History history;
  history.began = std::time(nullptr);
  if (!request.previous_response_id) co_return history;
  const std::string id = *request.previous_response_id;
  if (service.jobs().find(id, owner) != nullptr) {
    co_return api::invalid_request(
        "previous_response_id", "the response " + id + " is still being made"
    );
  }
  if (service.store() == nullptr) co_return api::previous_response_not_found(id);
  std::function<Result<std::vector<store::StoredResponse>>(store::ResponseStore&)> question =
      [id, owner](store::ResponseStore& store) { return store.chain(id, owner); };
  const auto chain = co_await ask(service, std::move(question));
  if (!chain.ok()) co_return chain.error();
  if (chain->empty()) co_return api::previous_response_not_found(id);
  std::vector<api::EarlierResponse> earlier;
  for (const store::StoredResponse& stored : *chain) {
    earlier.push_back({parse(stored.response), parse(stored.input)});
  }
  history.items = api::continue_chain(earlier, request);
  history.began = static_cast<std::time_t>(chain->front().created_at);
  co_return history;
}

std::optional<api::Json> find_item(const api::Json& items, const std::string& id) {
  for (const api::Json& item : items) {
    if (item.is_object() && item.value("id", "") == id) return item;
  }
  return std::nullopt;
}

std::optional<api::Json> find_item(const store::StoredResponse& stored, const std::string& id) {
  const api::Json response = parse(stored.response);
  if (response.contains("output")) {
    if (auto item = find_item(response["output"], id)) return item;
  }
  return find_item(parse(stored.input), id);
}

/// The stored items that the request only names, by id.
asio::awaitable<std::map<std::string, api::Json>> referenced_items(
    Service& service, const api::Items& items, const std::string& owner
) {
  std::map<std::string, api::Json> found;
  for (const api::Json& item : items) {
    if (item.value("type", "") != "item_reference") continue;
    const std::string id = item.value("id", "");
    const auto response = api::response_of_item(id);
    if (!response) continue;
    const auto stored = co_await find_response(service, *response, owner);
    if (!stored.ok()) continue;
    if (auto referenced = find_item(*stored, id)) found.emplace(id, std::move(*referenced));
  }
  co_return found;
}

}  // namespace

asio::awaitable<api::ApiResult<store::StoredResponse>> find_response(
    Service& service, std::string id, std::string owner
) {
  if (service.store() == nullptr) co_return api::response_not_found(id);
  std::function<Result<std::optional<store::StoredResponse>>(store::ResponseStore&)> question =
      [id, owner](store::ResponseStore& store) { return store.get(id, owner); };
  auto stored = co_await ask(service, std::move(question));
  if (!stored.ok()) co_return stored.error();
  if (!stored->has_value()) co_return api::response_not_found(id);
  co_return std::move(**stored);
}

asio::awaitable<api::ApiResult<History>> find_history(
    Service& service, api::ResponsesRequest& request, std::string owner
) {
  auto history = co_await earlier_items(service, request, owner);
  if (!history.ok()) co_return history.error();
  const auto referenced = co_await referenced_items(service, request.input, owner);
  const auto find = [&](const std::string& id) -> std::optional<api::Json> {
    const auto found = referenced.find(id);
    return found == referenced.end() ? std::nullopt : std::optional(found->second);
  };
  api::resolve_references(request.input, find, request.warnings);
  api::Items& items = history->items;
  items.insert(items.end(), request.input.begin(), request.input.end());
  co_return std::move(*history);
}

}  // namespace gossamer::server
