#include "tokenizer/stop_matcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

namespace gossamer::tokenizer {
namespace {

TEST(StopMatcher, FindsAStopStringAcrossPushes) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("text E"), "text ");
  EXPECT_EQ(matcher.push("N"), "");
  EXPECT_EQ(matcher.push("D more"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.push("after"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, ReleasesHeldTextThatTurnsOutToBeNoStop) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("EN"), "");
  EXPECT_EQ(matcher.push("ENX"), "ENENX");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcher, GivesHeldTextAtTheEndOfTheStream) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("the EN"), "the ");
  EXPECT_EQ(matcher.finish(), "EN");
}

TEST(StopMatcher, FindsAStopThatOverlapsAFailedBeginningOfItself) {
  StopMatcher matcher({"aab"});
  EXPECT_EQ(matcher.push("aa"), "");
  EXPECT_EQ(matcher.push("ab"), "a");
  EXPECT_TRUE(matcher.stopped());
}

TEST(StopMatcher, PrefersTheStopThatEndsFirstThenTheLongest) {
  StopMatcher first({"abcd", "bc"});
  EXPECT_EQ(first.push("xabcd"), "xa");
  StopMatcher longest({"c", "abc"});
  EXPECT_EQ(longest.push("xabc"), "x");
}

TEST(StopMatcher, IgnoresEmptyStops) {
  StopMatcher matcher({""});
  EXPECT_EQ(matcher.push("text"), "text");
  EXPECT_FALSE(matcher.stopped());
}

/// The text before the stop that ends first, the longest of those; the whole text without one.
std::string cut_at_stop(const std::string& text, const std::vector<std::string>& stops) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops) {
      if (std::string_view(text).substr(0, end).ends_with(stop))
        longest = std::max(longest, stop.size());
    }
    if (longest > 0) return text.substr(0, end - longest);
  }
  return text;
}

std::string random_string(std::mt19937& random, std::size_t length) {
  std::string text(length, ' ');
  for (char& c : text) c = static_cast<char>('a' + random() % 2);
  return text;
}

TEST(StopMatcher, CutsTheSameTextHoweverItIsPushed) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::string> stops;
    for (std::size_t n = 1 + random() % 3; n > 0; --n) {
      stops.push_back(random_string(random, 1 + random() % 6));
    }
    const std::string text = random_string(random, random() % 30);
    StopMatcher matcher(stops);
    std::string shown;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = random() % 5;
      shown += matcher.push(std::string_view(text).substr(at, size));
      at += size;
    }
    shown += matcher.finish();
    ASSERT_EQ(shown, cut_at_stop(text, stops)) << text;
  }
}

TEST(StopMatcher, TakesLinearTimeForTextThatAlmostStopsEverywhere) {
  StopMatcher matcher({std::string(10'000, 'a') + "b"});
  const auto start = std::chrono::steady_clock::now();
  std::string shown;
  for (int i = 0; i < 200; ++i) shown += matcher.push(std::string(5'000, 'a'));
  shown += matcher.finish();
  EXPECT_EQ(shown.size(), 1'000'000U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

}  // namespace
}  // namespace gossamer::tokenizer
