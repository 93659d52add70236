#include "api/reasoning_effort.h"

#include <gtest/gtest.h>

namespace gossamer::api {
namespace {

struct Read {
  std::string effort;
  std::size_t num_warnings;
  std::string param;

  bool operator==(const Read&) const = default;
};

Read read(std::string_view text) {
  const Json json = Json::parse(text);
  FirstError error;
  std::vector<std::string> warnings;
  const auto effort = read_reasoning_effort(ObjectReader(json, "", error), warnings);
  return {std::string(effort_name(effort)), warnings.size(), error ? error->param : ""};
}

TEST(ReasoningEffort, IsReadWhereverClientsWriteIt) {
  EXPECT_EQ(read("{}"), (Read{"medium", 0, ""}));
  EXPECT_EQ(read(R"({"reasoning":{"summary":"auto"}})"), (Read{"medium", 0, ""}));
  EXPECT_EQ(
      read(R"({"reasoning":{"effort":"low"},"reasoning_effort":"high"})"), (Read{"low", 0, ""})
  );
  EXPECT_EQ(read(R"({"reasoning_effort":"high"})"), (Read{"high", 0, ""}));
  EXPECT_EQ(read(R"({"chat_template_kwargs":{"reasoning_effort":"low"}})"), (Read{"low", 0, ""}));
}

TEST(ReasoningEffort, LevelsOfOtherModelsAreTheNearestWithANote) {
  EXPECT_EQ(read(R"({"reasoning":{"effort":"minimal"}})"), (Read{"low", 1, ""}));
  EXPECT_EQ(read(R"({"reasoning":{"effort":"none"}})"), (Read{"low", 1, ""}));
  EXPECT_EQ(read(R"({"reasoning":{"effort":"xhigh"}})"), (Read{"high", 1, ""}));
}

TEST(ReasoningEffort, OtherWordsAreErrorsWhereTheApiDefinesThem) {
  EXPECT_EQ(read(R"({"reasoning":{"effort":"frantic"}})").param, "reasoning.effort");
  EXPECT_EQ(read(R"({"reasoning":"high"})").param, "reasoning");
  EXPECT_EQ(read(R"({"reasoning_effort":"frantic"})"), (Read{"medium", 1, ""}));
  EXPECT_EQ(read(R"({"reasoning_effort":7})"), (Read{"medium", 1, ""}));
}

}  // namespace
}  // namespace gossamer::api
