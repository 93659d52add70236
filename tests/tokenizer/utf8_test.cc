#include "tokenizer/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace gossamer::tokenizer {
namespace {

using std::string_literals::operator""s;  // NOLINT(misc-unused-using-decls): used, as a suffix

TEST(Utf8, ReplacesEachMaximalIllFormedPartOnce) {
  // The cases of the Unicode Standard, table 3-8 and following.
  EXPECT_EQ(
      replace_invalid_utf8("a\xC0\xAF"
                           "b"),
      "a\uFFFD\uFFFDb"
  );
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(
      replace_invalid_utf8("\xF4\x91\x92\x93\xFF"
                           "A"),
      "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"
  );
  EXPECT_EQ(
      replace_invalid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
                           "A"),
      "\uFFFD\uFFFD\uFFFD\uFFFDA"
  );
}

TEST(Utf8, ReplacesASequenceCutByTheEndOnce) {
  EXPECT_EQ(replace_invalid_utf8("x\xF0\x9F\x98"), "x\uFFFD");
}

TEST(Utf8, KeepsWholeSequencesAtTheLimitsOfEachLength) {
  const std::string text = "\0\x7F\u0080\u07FF\u0800\uD7FF\uE000\uFFFF\U00010000\U0010FFFF"s;
  EXPECT_EQ(valid_utf8_prefix(text), text.size());
  EXPECT_EQ(replace_invalid_utf8(text), text);
}

TEST(Utf8, FindsTheFirstInvalidByteAnywhereInLongText) {
  for (std::size_t position = 0; position < 40; ++position) {
    std::string text(40, 'a');
    text[position] = '\x80';
    EXPECT_EQ(valid_utf8_prefix(text), position);
  }
}

TEST(Utf8, TellsAnIncompleteSequenceFromAnIllFormedOne) {
  using Kind = Utf8Sequence::Kind;
  EXPECT_EQ(first_utf8_sequence("\xE4\xBD").kind, Kind::kIncomplete);
  EXPECT_EQ(first_utf8_sequence("\xE4\xBD!").kind, Kind::kIllFormed);
  EXPECT_EQ(first_utf8_sequence("\xE4\xBD!").length, 2);
  EXPECT_EQ(first_utf8_sequence("\xE0\x80").kind, Kind::kIllFormed);  // overlong already
}

}  // namespace
}  // namespace gossamer::tokenizer
