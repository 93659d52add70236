#include "base/terminal.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <limits>

namespace gossamer {
namespace {

TEST(TerminalTest, AFileIsNoTerminal) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  EXPECT_FALSE(is_terminal(file));
  std::fclose(file);
}

TEST(TerminalTest, StylesAreEscapesOnlyWhereColourIsOn) {
  EXPECT_EQ(styled("text", Style::kRed, true), "\x1b[31mtext\x1b[0m");
  EXPECT_EQ(styled("text", Style::kRed, false), "text");
  EXPECT_EQ(style_start(Style::kBold, false), "");
  EXPECT_EQ(style_end(false), "");
}

TEST(TerminalTest, SizesAreWrittenInDecimalUnits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.00 kB");
  EXPECT_EQ(format_bytes(13'761'264'768), "13.76 GB");
  EXPECT_EQ(format_count(512), "512");
  EXPECT_EQ(format_count(20'914'757'184), "20.91 B");
}

TEST(TerminalTest, AllDigitsOfACountAreGroupedInThrees) {
  EXPECT_EQ(format_grouped(0), "0");
  EXPECT_EQ(format_grouped(999), "999");
  EXPECT_EQ(format_grouped(1000), "1,000");
  EXPECT_EQ(format_grouped(131'072), "131,072");
  EXPECT_EQ(format_grouped(1'713'024), "1,713,024");
}

TEST(TerminalTest, ANumberThatRoundsUpToTheNextUnitUsesIt) {
  EXPECT_EQ(format_bytes(999'990), "999.99 kB");
  EXPECT_EQ(format_bytes(999'996), "1.00 MB");
}

TEST(TerminalTest, TheLargestUnitTakesTheRest) {
  EXPECT_EQ(format_bytes(std::numeric_limits<std::uint64_t>::max()), "18446744.07 TB");
}

TEST(ProgressTest, WritesNothingWhereStderrIsNoTerminal) {
  if (is_terminal(stderr)) GTEST_SKIP() << "stderr is a terminal";
  testing::internal::CaptureStderr();
  {
    Progress progress("loading", 10);
    progress.update(5);
    progress.update(10);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace gossamer
