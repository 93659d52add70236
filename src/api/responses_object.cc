#include "api/responses_object.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace gossamer::api {
namespace {

constexpr std::int64_t kDefaultLimit = 20;

/// A query as an object, for the reader of fields.
Json object_of(const std::map<std::string, std::string>& query) {
  Json object = Json::object();
  for (const auto& [key, value] : query) object[key] = value;
  return object;
}

Items::const_iterator find_id(const Items& items, const std::string& id) {
  return std::find_if(items.begin(), items.end(), [&](const Json& item) {
    return text_member(item, "id") == id;
  });
}

Json id_of(const Json& data, std::size_t index) {
  return index < data.size() ? Json(text_member(data[index], "id")) : Json();
}

}  // namespace

Json usage_json(const chat::TurnUsage& usage) {
  return {
      {"input_tokens", usage.prompt_tokens},
      {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"cache_write_tokens", 0}}},
      {"output_tokens", usage.output_tokens},
      {"output_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
      {"total_tokens", usage.prompt_tokens + usage.output_tokens}};
}

Json deleted_response(const std::string& id) {
  return {{"id", id}, {"object", "response"}, {"deleted", true}};
}

ApiResult<Json> list_input_items(
    const Json& items, const std::map<std::string, std::string>& query
) {
  FirstError error;
  const Json object = object_of(query);
  const ObjectReader reader(object, "", error);
  const std::int64_t limit = reader.integer("limit", {1, 100}).value_or(kDefaultLimit);
  const std::string order = reader.string_or("order", "desc");
  if (order != "asc" && order != "desc") reader.fail("order", "must be asc or desc");

  Items all(items.begin(), items.end());
  if (order == "desc") std::reverse(all.begin(), all.end());
  auto begin = all.cbegin();
  auto end = all.cend();
  if (const auto after = reader.string("after")) {
    begin = find_id(all, *after);
    if (begin == all.cend()) reader.fail("after", "no item has this id");
    if (begin != all.cend()) ++begin;
  }
  if (const auto before = reader.string("before")) {
    end = find_id(all, *before);
    if (end == all.cend()) reader.fail("before", "no item has this id");
  }
  if (error) return *std::move(error);

  Json data = Json::array();
  for (; begin < end && static_cast<std::int64_t>(data.size()) < limit; ++begin) {
    data.push_back(*begin);
  }
  const Json first = id_of(data, 0);
  const Json last = data.empty() ? Json() : id_of(data, data.size() - 1);
  return Json{
      {"object", "list"},
      {"data", std::move(data)},
      {"first_id", first},
      {"last_id", last},
      {"has_more", begin < end}};
}

ApiError response_not_found(const std::string& id) {
  return {
      .status = 404,
      .code = "response_not_found",
      .param = "response_id",
      .message = fmt::format("no response has the id '{}'", id)};
}

ApiError previous_response_not_found(const std::string& id) {
  return {
      .code = "previous_response_not_found",
      .param = "previous_response_id",
      .message = fmt::format(
          "previous_response_id: no response has the id '{}'; it was never stored, or is gone: "
          "send "
          "the items themselves",
          id
      )};
}

ApiError not_cancellable(const std::string& id) {
  return {
      .code = "not_cancellable",
      .param = "response_id",
      .message = fmt::format("'{}' was not made in the background, and cannot be cancelled", id)};
}

}  // namespace gossamer::api
