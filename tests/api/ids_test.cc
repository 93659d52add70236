#include "api/ids.h"

#include <gtest/gtest.h>

#include <set>

namespace gossamer::api {
namespace {

TEST(Ids, AreThePrefixAndHexadecimalDigitsAndDiffer) {
  const std::string id = new_id("resp");
  EXPECT_EQ(id.size(), 5U + 32U);
  EXPECT_TRUE(id.starts_with("resp_"));
  EXPECT_NE(id, new_id("resp"));
}

TEST(Ids, AnItemLeadsToItsResponse) {
  const std::string response = new_id("resp");
  ItemIds ids(response, ItemIds::Half::kOutput);
  EXPECT_EQ(response_of_item(ids.next("msg")), response);
  EXPECT_EQ(response_of_item(ids.next("call")), response);
}

TEST(Ids, ItemsOfBothHalvesDiffer) {
  const std::string response = new_id("resp");
  ItemIds input(response, ItemIds::Half::kInput);
  ItemIds output(response, ItemIds::Half::kOutput);
  std::set<std::string> all;
  for (int i = 0; i < 1000; ++i) {
    all.insert(input.next("msg"));
    all.insert(output.next("msg"));
  }
  EXPECT_EQ(all.size(), 2000U);
}

TEST(Ids, IdsOfOthersLeadNowhere) {
  for (const char* id : {"", "msg_1", "msg_", "rs_687937d6ed748191b23a96ac7b1b9bb", "msg_zzz"}) {
    EXPECT_EQ(response_of_item(id), std::nullopt);
  }
}

}  // namespace
}  // namespace gossamer::api
