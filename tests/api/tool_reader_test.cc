#include "api/tool_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gossamer::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ToolReaderTest : public testing::Test {
 protected:
  void read(std::string_view tools, std::string_view choice = "null") {
    const Json request = {{"tools", Json::parse(tools)}, {"tool_choice", Json::parse(choice)}};
    const ObjectReader reader(request, "", error_);
    read_tools(reader, registry_, warnings_);
    if (!error_) selection_ = read_tool_choice(reader, registry_);
  }

  std::string param() const { return error_ ? error_->param : ""; }

  FirstError error_;
  ToolRegistry registry_;
  std::vector<std::string> warnings_;
  ToolSelection selection_;
};

constexpr std::string_view kTwo =
    R"([{"type":"function","name":"a"},{"type":"custom","name":"b"}])";

TEST_F(ToolReaderTest, BothApisFormsAreRead) {
  read(R"([
    {"type":"function","name":"flat","description":null,"parameters":{"type":"object"}},
    {"type":"function","function":{"name":"nested","description":"d","strict":true}},
    {"type":"custom","name":"free","format":{"type":"grammar","syntax":"lark","definition":"start: x"}},
    {"type":"custom","custom":{"name":"free2","format":{"type":"grammar",
      "grammar":{"syntax":"regex","definition":"a+"}}}},
    {"type":"namespace","name":"mcp__srv","description":"s","tools":[{"type":"function","name":"x"}]}
  ])");
  EXPECT_FALSE(error_);
  EXPECT_THAT(
      registry_.recipients(),
      ElementsAre(
          "functions.flat", "functions.nested", "functions.free", "functions.free2", "mcp__srv.x"
      )
  );
  const auto functions = registry_.declarations().at("functions").functions;
  EXPECT_THAT(functions[2].description, HasSubstr("lark grammar:\nstart: x"));
  EXPECT_THAT(functions[3].description, HasSubstr("regex grammar:\na+"));
}

TEST_F(ToolReaderTest, UnknownTypesAreLeftOutWithAWarning) {
  read(
      R"([{"type":"local_shell"},{"type":"mcp","server_label":"x"},{"type":"function","name":"a"}])"
  );
  EXPECT_FALSE(error_);
  EXPECT_EQ(warnings_.size(), 2U);
  EXPECT_THAT(warnings_[0], HasSubstr("local_shell"));
  EXPECT_THAT(registry_.recipients(), ElementsAre("functions.a"));
}

TEST_F(ToolReaderTest, ServerToolsAreRefusedUnlessTheyAskForNothing) {
  read(R"([{"type":"web_search","external_web_access":false}])");
  EXPECT_FALSE(error_);
  EXPECT_EQ(warnings_.size(), 1U);
  for (const char* type :
       {"web_search", "web_search_preview", "browser_search", "code_interpreter"}) {
    error_.reset();
    read(Json::array({{{"type", type}}}).dump());
    EXPECT_EQ(param(), "tools[0].type");
    EXPECT_THAT(error_->message, HasSubstr("not available on this server yet"));
  }
}

TEST_F(ToolReaderTest, ErrorsNameTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([1])", "tools[0]"},
      {R"({"a":1})", "tools"},
      {R"([{"type":"function"}])", "tools[0].name"},
      {R"([{"type":"function","function":{"name":""}}])", "tools[0].function.name"},
      {R"([{"type":"function","name":"a","parameters":"x"}])", "tools[0].parameters"},
      {R"([{"type":"namespace","name":"n","tools":[{"type":"function"}]}])",
       "tools[0].tools[0].name"},
      {R"([{"type":7}])", "tools[0].type"},
  };
  for (const auto& [tools, path] : cases) {
    error_.reset();
    read(tools);
    EXPECT_EQ(param(), path) << tools;
  }
}

TEST_F(ToolReaderTest, WordsSelectAllOrNothing) {
  read(kTwo);
  EXPECT_EQ(selection_.choice, chat::ToolChoice::kAuto);
  EXPECT_THAT(selection_.recipients, ElementsAre("functions.a", "functions.b"));
  read(kTwo, R"("none")");
  EXPECT_EQ(selection_.choice, chat::ToolChoice::kNone);
  EXPECT_THAT(selection_.recipients, IsEmpty());
  read(kTwo, R"("required")");
  EXPECT_EQ(selection_.choice, chat::ToolChoice::kRequired);
  EXPECT_EQ(selection_.recipients.size(), 2U);
}

TEST_F(ToolReaderTest, ObjectsNameToolsInBothApisForms) {
  for (const char* choice :
       {R"({"type":"function","name":"a"})", R"({"type":"function","function":{"name":"a"}})"}) {
    read(kTwo, choice);
    EXPECT_FALSE(error_);
    EXPECT_EQ(selection_.choice, chat::ToolChoice::kRequired);
    EXPECT_THAT(selection_.recipients, ElementsAre("functions.a"));
  }
  read(kTwo, R"({"type":"custom","name":"b"})");
  EXPECT_THAT(selection_.recipients, ElementsAre("functions.b"));
  read(kTwo, R"({"type":"allowed_tools","mode":"auto","tools":[{"type":"custom","name":"b"}]})");
  EXPECT_EQ(selection_.choice, chat::ToolChoice::kAuto);
  EXPECT_THAT(selection_.recipients, ElementsAre("functions.b"));
  read(
      kTwo,
      R"({"type":"allowed_tools","allowed_tools":{"mode":"required",
          "tools":[{"type":"function","function":{"name":"a"}}]}})"
  );
  EXPECT_EQ(selection_.choice, chat::ToolChoice::kRequired);
  EXPECT_THAT(selection_.recipients, ElementsAre("functions.a"));
}

TEST_F(ToolReaderTest, WrongChoicesAreErrors) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("maybe")", "tool_choice"},
      {R"(7)", "tool_choice"},
      {R"({"type":"mcp","server_label":"x"})", "tool_choice.type"},
      {R"({"type":"web_search"})", "tool_choice.type"},
      {R"({"type":"function","name":"zzz"})", "tool_choice.name"},
      {R"({"type":"function","name":"b"})", "tool_choice.name"},
      {R"({"type":"allowed_tools","mode":"often","tools":[]})", "tool_choice.mode"},
      {R"({"type":"allowed_tools","mode":"required","tools":[]})", "tool_choice.tools"},
      {R"({"type":"allowed_tools","tools":[{"type":"function","name":"q"}]})",
       "tool_choice.tools[0].name"},
  };
  for (const auto& [choice, path] : cases) {
    error_.reset();
    read(kTwo, choice);
    EXPECT_EQ(param(), path) << choice;
  }
  error_.reset();
  ToolRegistry none;
  registry_ = none;
  read("[]", R"("required")");
  EXPECT_EQ(param(), "tool_choice");
}

}  // namespace
}  // namespace gossamer::api
