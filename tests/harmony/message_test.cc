#include "harmony/message.h"

#include <gtest/gtest.h>

namespace gossamer::harmony {
namespace {

TEST(MessageTest, ARoleIsFoundByExactlyItsName) {
  for (const Role role :
       {Role::kUser, Role::kAssistant, Role::kSystem, Role::kDeveloper, Role::kTool}) {
    EXPECT_EQ(role_from_name(role_name(role)), role);
  }
  EXPECT_EQ(role_from_name("User"), std::nullopt);
  EXPECT_EQ(role_from_name(""), std::nullopt);
}

TEST(MessageTest, TheTextIsThatOfAllTextItems) {
  Message message = Message::of_text(Role::kSystem, "a");
  message.content.emplace_back(SystemContent::defaults());
  message.content.emplace_back(TextContent{"b"});
  EXPECT_EQ(message.text(), "ab");
}

TEST(MessageTest, HowAMessageWasSampledIsNotPartOfItsMeaning) {
  const Message message = Message::of_text(Role::kAssistant, "a");
  Message sampled = message;
  sampled.sampled = {1, 2, 3};
  EXPECT_EQ(sampled, message);
  sampled.channel = "final";
  EXPECT_FALSE(sampled == message);
}

}  // namespace
}  // namespace gossamer::harmony
