#include "api/responses_object.h"

#include <gtest/gtest.h>

namespace gossamer::api {
namespace {

Json items_of(int count) {
  Json items = Json::array();
  for (int i = 0; i < count; ++i) items.push_back({{"id", "m" + std::to_string(i)}});
  return items;
}

/// The ids of a page, and whether there is more.
std::string page(const Json& items, const std::map<std::string, std::string>& query) {
  const auto list = list_input_items(items, query);
  if (!list.ok()) return list.error().param;
  std::string ids;
  for (const Json& item : (*list)["data"]) ids += item["id"].get<std::string>() + " ";
  EXPECT_EQ((*list)["object"].dump(), "\"list\"");
  return ids + ((*list)["has_more"] == true ? "more" : "all");
}

TEST(ResponsesObject, InputItemsAreListedNewestFirst) {
  EXPECT_EQ(page(items_of(3), {}), "m2 m1 m0 all");
  EXPECT_EQ(page(items_of(3), {{"order", "asc"}}), "m0 m1 m2 all");
  EXPECT_EQ(page(items_of(0), {}), "all");
}

TEST(ResponsesObject, PagesFollowTheLastId) {
  const Json items = items_of(5);
  EXPECT_EQ(page(items, {{"order", "asc"}, {"limit", "2"}}), "m0 m1 more");
  EXPECT_EQ(page(items, {{"order", "asc"}, {"limit", "2"}, {"after", "m1"}}), "m2 m3 more");
  EXPECT_EQ(page(items, {{"order", "asc"}, {"limit", "2"}, {"after", "m3"}}), "m4 all");
  EXPECT_EQ(page(items, {{"order", "asc"}, {"after", "m4"}}), "all");
  EXPECT_EQ(page(items, {{"after", "m3"}}), "m2 m1 m0 all");
  EXPECT_EQ(page(items, {{"order", "asc"}, {"before", "m2"}}), "m0 m1 all");
  EXPECT_EQ(page(items_of(30), {{"order", "asc"}}).substr(0, 9), "m0 m1 m2 ");
  EXPECT_TRUE(page(items_of(30), {}).ends_with("more"));
}

TEST(ResponsesObject, ThePageNamesItsEnds) {
  const auto list = list_input_items(items_of(3), {{"limit", "2"}});
  ASSERT_TRUE(list.ok());
  EXPECT_EQ((*list)["first_id"].dump(), "\"m2\"");
  EXPECT_EQ((*list)["last_id"].dump(), "\"m1\"");
}

TEST(ResponsesObject, WrongQueriesAreNamed) {
  EXPECT_EQ(page(items_of(1), {{"limit", "0"}}), "limit");
  EXPECT_EQ(page(items_of(1), {{"limit", "many"}}), "limit");
  EXPECT_EQ(page(items_of(1), {{"order", "random"}}), "order");
  EXPECT_EQ(page(items_of(1), {{"after", "zzz"}}), "after");
  EXPECT_EQ(page(items_of(1), {{"before", "zzz"}}), "before");
}

TEST(ResponsesObject, ErrorsHaveTheStatusThatClientsExpect) {
  EXPECT_EQ(response_not_found("x").status, 404);
  EXPECT_EQ(previous_response_not_found("x").status, 400);
  EXPECT_EQ(previous_response_not_found("x").param, "previous_response_id");
  EXPECT_EQ(not_cancellable("x").status, 400);
  EXPECT_EQ(deleted_response("r").dump(), R"({"id":"r","object":"response","deleted":true})");
}

}  // namespace
}  // namespace gossamer::api
