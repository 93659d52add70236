#include "tools/tool_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gossamer::tools {
namespace {

TEST(ToolSetTest, MakesEveryToolByItsName) {
  for (const std::string_view name : tool_names()) {
    const auto tool = make_tool(name);
    ASSERT_TRUE(tool.ok());
    EXPECT_EQ((*tool)->declaration().name, name);
  }
}

TEST(ToolSetTest, AnUnknownNameIsAnErrorThatListsThoseThereAre) {
  const auto set = ToolSet::create({"clock", "oracle"});
  ASSERT_FALSE(set.ok());
  EXPECT_EQ(set.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(set.error().message, "there is no tool \"oracle\"; there is clock");
}

TEST(ToolSetTest, HoldsEachToolOnce) {
  const auto set = ToolSet::create({"clock", "clock"});
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->all().size(), 1U);
  EXPECT_NE(set->find("clock"), nullptr);
  EXPECT_EQ(set->find("browser"), nullptr);
  EXPECT_TRUE(ToolSet().all().empty());
}

}  // namespace
}  // namespace gossamer::tools
