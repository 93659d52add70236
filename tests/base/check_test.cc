#include "base/check.h"

#include <gtest/gtest.h>

namespace gossamer {
namespace {

TEST(CheckTest, ATrueConditionIsEvaluatedOnceAndPasses) {
  int evaluations = 0;
  GOSSAMER_CHECK(++evaluations == 1);
  EXPECT_EQ(evaluations, 1);
}

TEST(CheckDeathTest, AFalseConditionIsNamedWithItsPlace) {
  const int rows = 3;
  EXPECT_DEATH(GOSSAMER_CHECK(rows == 4), "internal error: rows == 4 .*check_test.cc:");
}

}  // namespace
}  // namespace gossamer
