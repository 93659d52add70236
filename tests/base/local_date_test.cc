#include "base/local_date.h"

#include <gtest/gtest.h>

#include <ctime>

namespace gossamer {
namespace {

TEST(LocalDateTest, IsTodayInIsoForm) {
  const auto date = [] {
    const std::time_t now = std::time(nullptr);
    char text[11] = {};
    EXPECT_EQ(std::strftime(text, sizeof(text), "%F", std::localtime(&now)), 10U);
    return std::string(text);
  };
  const std::string before = date();
  const std::string found = local_date();
  EXPECT_TRUE(found == before || found == date()) << found;  // midnight may come between
}

TEST(LocalDateTest, TwoDaysLaterIsAnotherDate) {
  EXPECT_LT(local_date(1'700'000'000), local_date(1'700'000'000 + 2 * 86400));
}

}  // namespace
}  // namespace gossamer
