#include "chat/message_text.h"

#include <gtest/gtest.h>

namespace gossamer::chat {
namespace {

/// Adds a token of some bytes, and the text that the parser makes of it.
std::string add(MessageText& text, TokenId token, std::size_t num_bytes, std::string_view made) {
  text.add_token({.token = token}, num_bytes);
  const auto added = text.add_text(7, made);
  if (!added) return "";
  EXPECT_EQ(added->message, 7U);
  std::string tokens;
  for (const auto& part : added->tokens) tokens += " " + std::to_string(part.token);
  return added->text + tokens;
}

TEST(MessageTextTest, ATokenComesWithTheTextInWhichItEnds) {
  MessageText text;
  EXPECT_EQ(add(text, 1, 2, "ab"), "ab 1");
  EXPECT_EQ(add(text, 2, 3, " "), " ");  // a space, and half a character
  EXPECT_EQ(add(text, 3, 2, "🦩"), "🦩 2 3");
  EXPECT_EQ(text.text(), "ab 🦩");
  EXPECT_EQ(text.finish(7), std::nullopt);
}

TEST(MessageTextTest, TextThatMayBecomeAStopTextWaitsWithItsTokens) {
  MessageText text({"stop!"});
  EXPECT_EQ(add(text, 1, 3, "a s"), "a ");
  EXPECT_EQ(add(text, 2, 2, "to"), "");
  EXPECT_EQ(add(text, 3, 2, "ry"), "story 1 2 3");
  EXPECT_EQ(add(text, 4, 2, "st"), "");
  EXPECT_EQ(text.finish(7)->text, "st");
  EXPECT_FALSE(text.is_stopped());
}

TEST(MessageTextTest, NothingComesFromAStopTextOn) {
  MessageText text({"stop!"});
  EXPECT_EQ(add(text, 1, 4, "a st"), "a ");
  EXPECT_EQ(add(text, 2, 5, "op! b"), "");
  EXPECT_TRUE(text.is_stopped());
  EXPECT_EQ(add(text, 3, 1, "c"), "");
  EXPECT_EQ(text.finish(7), std::nullopt);
  EXPECT_EQ(text.text(), "a ");
}

}  // namespace
}  // namespace gossamer::chat
