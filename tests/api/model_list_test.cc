#include "api/model_list.h"

#include <gtest/gtest.h>

#include <vector>

namespace gossamer::api {
namespace {

TEST(ModelListTest, ListsModelsAsOpenAiAndAsCodexReadThem) {
  const std::vector<ModelCard> cards = {{"gpt-oss-20b", 7, 4096}, {"gpt-oss:20b", 7, 4096}};
  const Json list = model_list_json(cards);
  EXPECT_EQ(list["object"], "list");
  ASSERT_EQ(list["data"].size(), 2U);
  EXPECT_EQ(list["data"][0], model_json(cards[0]));
  EXPECT_EQ(list["data"][0]["object"], "model");
  EXPECT_EQ(list["data"][1]["id"], "gpt-oss:20b");
  EXPECT_EQ(list["models"][0]["slug"], "gpt-oss-20b");
  EXPECT_EQ(list["models"][0]["context_window"], 4096);
  EXPECT_EQ(list["models"][0]["supported_reasoning_levels"][2]["effort"], "high");
}

}  // namespace
}  // namespace gossamer::api
