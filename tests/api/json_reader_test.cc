#include "api/json_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace gossamer::api {
namespace {

using testing::HasSubstr;

std::string error_of(std::string_view body) {
  const auto json = parse_body(body);
  return json.ok() ? "" : json.error().message;
}

TEST(ParseBody, AnObjectKeepsTheOrderOfItsKeys) {
  const auto json = parse_body(R"({"b":1,"a":[true,null,"é"]})");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->dump(), R"({"b":1,"a":[true,null,"é"]})");
}

TEST(ParseBody, SyntaxErrorsNameThePlace) {
  EXPECT_THAT(error_of(R"({"a": )"), HasSubstr("line 1, column 7"));
  EXPECT_THAT(error_of(""), HasSubstr("not JSON"));
  EXPECT_THAT(error_of(R"({"a":1e999})"), HasSubstr("not JSON"));
  EXPECT_EQ(parse_body("{").error().status, 400);
}

TEST(ParseBody, AnythingButAnObjectIsRefused) {
  for (const char* body : {"[]", "1", "null", "\"x\""}) {
    EXPECT_EQ(error_of(body), "the body must be a JSON object");
  }
}

TEST(ParseBody, BytesThatAreNotUtf8AreNamed) {
  EXPECT_EQ(error_of("{\"a\":\"\xff\"}"), "the body is not UTF-8 at byte 6");
}

TEST(ParseBody, DeepNestingIsRefusedWithoutRecursion) {
  EXPECT_THAT(error_of(std::string(10'000'000, '[')), HasSubstr("deeper than 128"));
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) objects += R"({"a":)";
  EXPECT_THAT(error_of(objects), HasSubstr("deeper than 128"));
  const std::string deepest = R"({"a":)" + std::string(127, '[') + std::string(127, ']') + "}";
  EXPECT_EQ(error_of(deepest), "");
}

TEST(ParseBody, BracketsInStringsAreNotNesting) {
  EXPECT_EQ(error_of(R"({"a":")" + std::string(1000, '[') + R"(\"{{"})"), "");
}

TEST(ParseBody, TooManyMembersAreRefused) {
  std::string body = "{";
  for (int i = 0; i < 3000; ++i) body += "\"k" + std::to_string(i) + "\":0,";
  EXPECT_THAT(error_of(body + "\"z\":0}"), HasSubstr("more than 2048 members"));
}

TEST(ParseBody, TheLastOfRepeatedKeysCounts) {
  EXPECT_EQ(parse_body(R"({"a":1,"b":2,"a":3})")->dump(), R"({"a":3,"b":2})");
}

TEST(ParseBody, HalvesOfSurrogatePairsAreReplaced) {
  EXPECT_EQ(parse_body(R"({"a":"\ud83dx"})")->at("a").get<std::string>(), "\uFFFDx");
  EXPECT_EQ(parse_body(R"({"a":"\ude00"})")->at("a").get<std::string>(), "\uFFFD");
  EXPECT_EQ(parse_body(R"({"a":"\ud83d\ud83d\ude00"})")->at("a").get<std::string>(), "\uFFFD😀");
  EXPECT_EQ(parse_body(R"({"a":"\ud83d\ude00"})")->at("a").get<std::string>(), "😀");
  EXPECT_EQ(parse_body(R"({"a":"\\ud83d"})")->at("a").get<std::string>(), "\\ud83d");
}

TEST(ParseBody, RandomDamageNeverThrows) {
  const std::string whole = R"({"a":[1,2.5,{"b":"\ud83d\u00e9x"}],"c":null,"d":"\\\"é"})";
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string body = whole;
    for (int n = 0; n < 1 + i % 4; ++n) {
      body[random() % body.size()] = static_cast<char>(random() % 256);
    }
    body.resize(random() % 8 == 0 ? random() % body.size() : body.size());
    const auto json = parse_body(body);
    if (!json.ok()) {
      EXPECT_EQ(json.error().status, 400);
    }
  }
}

class ObjectReaderTest : public testing::Test {
 protected:
  ObjectReader reader(std::string_view text) {
    json_ = Json::parse(text);
    error_.reset();
    return {json_, "", error_};
  }

  Json json_;
  FirstError error_;
};

TEST_F(ObjectReaderTest, NullIsAbsent) {
  const ObjectReader r = reader(R"({"a":null})");
  EXPECT_EQ(r.string("a"), std::nullopt);
  EXPECT_EQ(r.integer("a", {0, 1}), std::nullopt);
  EXPECT_EQ(r.boolean("b"), std::nullopt);
  EXPECT_EQ(r.object("a"), nullptr);
  EXPECT_FALSE(error_);
}

TEST_F(ObjectReaderTest, NumbersMayBeWrittenAsStrings) {
  const ObjectReader r = reader(R"({"i":"5","f":"0.5","w":7.0,"t":"true","z":0})");
  EXPECT_EQ(r.integer("i", {0, 9}), 5);
  EXPECT_EQ(r.number("f", {0, 1}), 0.5);
  EXPECT_EQ(r.integer("w", {0, 9}), 7);
  EXPECT_EQ(r.boolean("t"), true);
  EXPECT_EQ(r.boolean("z"), false);
  EXPECT_FALSE(error_);
}

TEST_F(ObjectReaderTest, WrongTypesAreNamedWithTheirPath) {
  const auto message = [&](std::string_view text, auto read) {
    read(reader(text));
    return error_ ? error_->message : "";
  };
  const auto integer = [](const ObjectReader& r) { (void)r.integer("k", {0, 10}); };
  EXPECT_EQ(message(R"({"k":1.5})", integer), "k: must be an integer");
  EXPECT_EQ(message(R"({"k":"5x"})", integer), "k: must be an integer");
  EXPECT_EQ(message(R"({"k":[]})", integer), "k: must be an integer");
  EXPECT_EQ(message(R"({"k":11})", integer), "k: is 11; it must be between 0 and 10");
  EXPECT_EQ(error_->param, "k");
  const auto number = [](const ObjectReader& r) { (void)r.number("k", {0, 1}); };
  EXPECT_EQ(message(R"({"k":"nan"})", number), "k: must be a number");
  EXPECT_EQ(message(R"({"k":"inf"})", number), "k: must be a number");
  const auto text = [](const ObjectReader& r) { (void)r.string("k"); };
  EXPECT_EQ(message(R"({"k":1})", text), "k: must be a string");
  const auto flag = [](const ObjectReader& r) { (void)r.boolean("k"); };
  EXPECT_EQ(message(R"({"k":"yes"})", flag), "k: must be true or false");
}

TEST_F(ObjectReaderTest, OnlyTheFirstErrorIsKept) {
  const ObjectReader r = reader(R"({"a":1,"b":2})");
  (void)r.string("b");
  (void)r.string("a");
  EXPECT_EQ(error_->param, "b");
}

TEST_F(ObjectReaderTest, AValueThatIsNoObjectReadsAsEmpty) {
  const Json list = Json::array();
  const ObjectReader r(list, "input[2]", error_);
  EXPECT_EQ(r.find("a"), nullptr);
  EXPECT_EQ(error_->message, "input[2]: must be an object");
}

TEST(Paths, NameElementsAndMembers) {
  EXPECT_EQ(
      member_path(element_path(member_path(element_path("input", 2), "content"), 0), "text"),
      "input[2].content[0].text"
  );
  EXPECT_EQ(member_path("", "model"), "model");
}

}  // namespace
}  // namespace gossamer::api
