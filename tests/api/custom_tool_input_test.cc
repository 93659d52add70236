#include "api/custom_tool_input.h"

#include <gtest/gtest.h>

#include <random>

#include "tokenizer/utf8.h"

namespace gossamer::api {
namespace {

TEST(CustomToolInput, IsTheTextInsideOrAllOfIt) {
  EXPECT_EQ(custom_tool_input(R"({"input":"a\nb"})"), "a\nb");
  EXPECT_EQ(custom_tool_input("{ \n\"input\" :\t\"a\" }  "), "a");
  EXPECT_EQ(custom_tool_input("*** Begin Patch"), "*** Begin Patch");
  EXPECT_EQ(custom_tool_input(R"({"input":1})"), R"({"input":1})");
  EXPECT_EQ(custom_tool_input(R"({"other":"x"})"), R"({"other":"x"})");
  EXPECT_EQ(custom_tool_input("{"), "{");
  EXPECT_EQ(custom_tool_input("  日本"), "  日本");
  EXPECT_EQ(custom_tool_input(""), "");
}

TEST(CustomToolInput, EscapesAreDecoded) {
  EXPECT_EQ(
      custom_tool_input(R"({"input":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"})"), "\"\\/\b\f\n\r\té😀"
  );
  EXPECT_EQ(custom_tool_input(R"({"input":"\ud83dx\ude00\ud83d"})"), "\uFFFDx\uFFFD\uFFFD");
}

TEST(CustomToolInput, WhatIsNotQuiteJsonKeepsItsText) {
  EXPECT_EQ(custom_tool_input("{\"input\":\"a\nb\tc"), "a\nb\tc");
  EXPECT_EQ(custom_tool_input(R"({"input":"\q\u12zz"})"), "q\\u12zz");
  EXPECT_EQ(custom_tool_input(R"({"input":"a\)"), "a\\");
  EXPECT_EQ(custom_tool_input(R"({"input":"a\u12)"), "a\\u12");
}

TEST(CustomToolInput, ArgumentsReadBackAsTheText) {
  for (const std::string text : {"", "x \"y\"\n", "😀é\\", "{\"input\":\"\"}"}) {
    EXPECT_EQ(custom_tool_input(custom_tool_arguments(text)), text);
  }
}

TEST(CustomToolInput, PiecesGiveWhatTheWholeGives) {
  const char* parts[] = {
      "{",
      "\"",
      "input",
      "\":",
      "\"",
      "\\",
      "u00",
      "e9",
      "\\ud83d",
      "\\ude00",
      "é",
      "😀",
      " ",
      "\n",
      "n",
      "}",
      "{\"input\":\"",
      "ab"};
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string whole;
    std::string text;
    CustomToolInput input;
    for (unsigned n = random() % 12; n > 0; --n) {
      const std::string part = parts[random() % std::size(parts)];
      whole += part;
      const std::string more = input.push(part);
      ASSERT_EQ(tokenizer::valid_utf8_prefix(more), more.size()) << whole;
      text += more;
    }
    text += input.finish();
    ASSERT_EQ(text, custom_tool_input(whole));
  }
}

}  // namespace
}  // namespace gossamer::api
