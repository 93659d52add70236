#include "harmony/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harmony/golden.h"

namespace gossamer::harmony {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string explained(std::string_view text, ExplainOptions options) {
  return explain(o200k_encoding(), tokens_of(text), options);
}

TEST(ExplainTest, SaysWhoSpeaksToWhomOnWhichChannelAndHowTheMessageEnds) {
  EXPECT_EQ(
      explained(
          "<|start|>user<|message|>hi\nthere<|end|><|start|>assistant<|channel|>commentary "
          "to=functions.f <|constrain|>json<|message|>{}<|call|><|start|>assistant",
          {}
      ),
      "user  (tokens 0–6, <|end|>)\n"
      "│ hi\n"
      "│ there\n"
      "\n"
      "assistant → functions.f  #commentary  <|constrain|>json  (tokens 7–21, <|call|>)\n"
      "│ {}\n"
      "\n"
      "<|start|>assistant  (tokens 22–23, not a message yet)\n"
      "\n"
      "2 messages, 24 tokens (9 structural), well-formed\n"
  );
}

TEST(ExplainTest, NamesRepairsAndWhereTheyWere) {
  EXPECT_THAT(
      explained("<|channel|>final Hello<|return|>", {.role = Role::kAssistant}),
      HasSubstr("! missing_message at token 3: no <|message|>")
  );
}

TEST(ExplainTest, ListsTokensOnRequest) {
  const std::string text = "<|channel|>final<|message|>a\nb<|return|>";
  EXPECT_THAT(
      explained(text, {.role = Role::kAssistant, .tokens = true}),
      HasSubstr("  200005  <|channel|>\n   17196  final\n")
  );
  EXPECT_THAT(explained(text, {.role = Role::kAssistant}), Not(HasSubstr("17196")));
}

TEST(ExplainTest, ControlCharactersInTheStreamCannotReachATerminal) {
  const std::string text =
      explained("<|channel|>final<|message|>\x1b[2J<|return|>", {.role = Role::kAssistant});
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, HasSubstr("\\x1B[2J"));
}

TEST(ExplainTest, UnknownIdsAreShownAsSuch) {
  const std::vector<TokenId> tokens = {o200k_encoding().id(Marker::kMessage), 4'000'000'000};
  EXPECT_THAT(
      explain(o200k_encoding(), tokens, {.role = Role::kAssistant, .tokens = true}),
      HasSubstr("4000000000  (unknown id)")
  );
}

}  // namespace
}  // namespace gossamer::harmony
