#include "api/object_text.h"

#include <gtest/gtest.h>

#include <random>

namespace gossamer::api {
namespace {

std::string written(std::string_view string) {
  std::string text;
  append_string(text, string);
  return text;
}

TEST(ObjectText, StringsAreWrittenAsInATree) {
  for (const std::string_view string :
       {std::string_view(""),
        std::string_view(" plain"),
        std::string_view("\"quoted\" \\ /"),
        std::string_view("\b\t\n\f\r"),
        std::string_view("\0\x01\x1F\x7F", 4),
        std::string_view("\u2028\u2029\u00E9\u00A0"),
        std::string_view("😀"),
        std::string_view("😀").substr(0, 3),
        std::string_view("\xC0\x80\xED\xA0\x80\xF4\x90\x80\x80\xFF"),
        std::string_view("a\xE2\x80z\"")}) {
    EXPECT_EQ(written(string), to_text(Json(string)));
  }
}

TEST(ObjectText, AnyBytesAreWrittenAsInATree) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string string(random() % 6, ' ');
    for (char& c : string) c = static_cast<char>(random());
    ASSERT_EQ(written(string), to_text(Json(string)));
  }
}

TEST(ObjectText, FieldsAreWrittenAsInATree) {
  const Json list = {1, "{", nullptr};
  std::string text = "data: ";
  {
    ObjectText object(text);
    object.add("text", "{").add("number", -7).add_json("list", list).add_json("nothing", {});
    ObjectText(object.begin("inner")).add("a", "b");
    ObjectText empty(object.begin("empty"));
  }
  const Json tree = {
      {"text", "{"},
      {"number", -7},
      {"list", list},
      {"nothing", nullptr},
      {"inner", {{"a", "b"}}},
      {"empty", Json::object()}};
  EXPECT_EQ(text, "data: " + to_text(tree));
}

TEST(ObjectText, AnObjectMayHaveItsFirstFieldsAlready) {
  std::string text;
  ObjectText(text, R"({"id":1)").add("name", "n");
  EXPECT_EQ(text, R"({"id":1,"name":"n"})");
}

}  // namespace
}  // namespace gossamer::api
