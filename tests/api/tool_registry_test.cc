#include "api/tool_registry.h"

#include <gtest/gtest.h>

#include "harmony/content_text.h"

namespace gossamer::api {
namespace {

ClientTool function(std::string name, std::string name_space = "") {
  return {
      .name =
          {.kind = ToolKind::kFunction,
           .name = std::move(name),
           .name_space = std::move(name_space)},
      .description = {},
      .parameters = std::nullopt,
      .grammar = {}};
}

TEST(ToolRegistry, FunctionsAreDeclaredUnderFunctionsInOrder) {
  ToolRegistry registry;
  EXPECT_TRUE(registry.add(function("b")));
  EXPECT_TRUE(registry.add(function("a")));
  EXPECT_FALSE(registry.add(function("a")));
  EXPECT_EQ(registry.recipients(), (std::vector<std::string>{"functions.b", "functions.a"}));
  const auto tools = registry.declarations();
  ASSERT_EQ(tools.size(), 1U);
  EXPECT_EQ(tools.at("functions").functions[0].name, "b");
}

TEST(ToolRegistry, NamesThatNoHeaderHoldsComeBackAsTheyWere) {
  ToolRegistry registry;
  for (const char* name : {"Web Search", "web.search", "Web_Search", "Web<Search", "日本", "é"}) {
    ASSERT_TRUE(registry.add(function(name)));
  }
  EXPECT_EQ(
      registry.recipients(),
      (std::vector<std::string>{
          "functions.Web_Search",
          "functions.web_search",
          "functions.Web_Search_2",
          "functions.Web_Search_3",
          "functions._",
          "functions.__2"})
  );
  for (const char* name : {"Web Search", "web.search", "Web_Search", "Web<Search", "日本", "é"}) {
    const ToolName tool{.kind = ToolKind::kFunction, .name = name, .name_space = {}};
    EXPECT_EQ(registry.name_of(registry.recipient_of(tool)), tool);
  }
}

TEST(ToolRegistry, NamespacesComeBackApartFromTheName) {
  ToolRegistry registry;
  registry.describe("mcp__srv", "A server.");
  ASSERT_TRUE(registry.add(function("lookup", "mcp__srv")));
  ASSERT_TRUE(registry.add(function("lookup", "mcp srv")));
  ASSERT_TRUE(registry.add(function("lookup")));
  EXPECT_EQ(
      registry.recipients(),
      (std::vector<std::string>{"mcp__srv.lookup", "mcp_srv.lookup", "functions.lookup"})
  );
  EXPECT_EQ(registry.name_of("mcp__srv.lookup"), function("lookup", "mcp__srv").name);
  EXPECT_EQ(registry.declarations().at("mcp__srv").description, "A server.");
}

TEST(ToolRegistry, NamespacesOfTheServerStayTheServers) {
  ToolRegistry registry;
  registry.reserve("clock");
  ASSERT_TRUE(registry.add(function("now", "clock")));
  ASSERT_TRUE(registry.add(function("f", "functions")));
  ASSERT_TRUE(registry.add(function("f")));
  EXPECT_EQ(
      registry.recipients(),
      (std::vector<std::string>{"clock_2.now", "functions_2.f", "functions.f"})
  );
}

TEST(ToolRegistry, ACallOfWhatWasNeverDeclaredIsAFunctionCall) {
  ToolRegistry registry;
  ASSERT_TRUE(registry.add(function("f")));
  EXPECT_EQ(registry.name_of("functions.g").name, "g");
  EXPECT_EQ(registry.name_of("browser.search").name, "browser.search");
  EXPECT_EQ(registry.name_of("f").name, "f");
  const ToolName gone{.kind = ToolKind::kFunction, .name = "old tool", .name_space = "ns"};
  EXPECT_EQ(registry.recipient_of(gone), "ns.old_tool");
}

TEST(ToolRegistry, ACustomToolIsAFunctionOfOneText) {
  ToolRegistry registry;
  ASSERT_TRUE(registry.add(
      {.name = {.kind = ToolKind::kCustom, .name = "apply_patch", .name_space = {}},
       .description = "Edits files.",
       .parameters = std::nullopt,
       .grammar = "`input` must match this lark grammar:\nstart: x"}
  ));
  const auto text = harmony::developer_text(
      {.instructions = {}, .tools = registry.declarations(), .response_formats = {}}
  );
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(
      *text,
      "# Tools\n\n## functions\n\nnamespace functions {\n\n"
      "// Edits files.\n// `input` must match this lark grammar:\n// start: x\n"
      "type apply_patch = (_: {\ninput: string,\n}) => any;\n\n} // namespace functions"
  );
  EXPECT_EQ(registry.name_of("functions.apply_patch").kind, ToolKind::kCustom);
}

}  // namespace
}  // namespace gossamer::api
