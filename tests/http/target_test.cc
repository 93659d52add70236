#include "http/target.h"

#include <gtest/gtest.h>

namespace gossamer::http {
namespace {

TEST(Target, PathAndQueryAreDecoded) {
  const auto target = parse_target("/a%20b/c+d?x=1%262&y&z=a+b&x=3&&");
  ASSERT_TRUE(target.has_value());
  EXPECT_EQ(target->path, "/a b/c+d");
  EXPECT_EQ(
      target->query, (std::map<std::string, std::string>{{"x", "3"}, {"y", ""}, {"z", "a b"}})
  );
}

TEST(Target, TheFormForProxiesIsUnderstood) {
  EXPECT_EQ(parse_target("http://localhost:80/a?b=c")->path, "/a");
  EXPECT_EQ(parse_target("http://localhost")->path, "/");
  EXPECT_EQ(parse_target("*")->path, "*");
}

TEST(Target, NonsenseIsNoTarget) {
  for (const char* text : {"", "a", "example.com:443", "/%", "/%4", "/%zz", "/%00", "/a?b=%0a"}) {
    EXPECT_FALSE(parse_target(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace gossamer::http
