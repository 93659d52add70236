#include "server/router.h"

#include <gtest/gtest.h>

namespace gossamer::server {
namespace {

class RouterTest : public testing::Test {
 protected:
  void SetUp() override {
    router_.add("GET", "/v1/models", {});
    router_.add("POST", "/v1/responses", {});
    router_.add("GET", "/v1/responses/{id}", {});
    router_.add("DELETE", "/v1/responses/{id}", {});
    router_.add("POST", "/v1/responses/{id}/cancel", {});
  }

  Router router_;
};

TEST_F(RouterTest, FindsTheRouteAndTheId) {
  const RouteMatch match = router_.find("POST", "/v1/responses/resp_1/cancel");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->pattern, "/v1/responses/{id}/cancel");
  EXPECT_EQ(match.id, "resp_1");
  EXPECT_EQ(router_.find("DELETE", "/v1/responses/a").route->method, "DELETE");
}

TEST_F(RouterTest, ASlashAtTheEndAndHeadMakeNoDifference) {
  EXPECT_NE(router_.find("GET", "/v1/models/").route, nullptr);
  EXPECT_NE(router_.find("HEAD", "/v1/models").route, nullptr);
}

TEST_F(RouterTest, AWrongMethodTellsTheRightOnes) {
  const RouteMatch match = router_.find("PUT", "/v1/responses/a");
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allowed, (std::vector<std::string>{"GET", "DELETE"}));
}

TEST_F(RouterTest, AnUnknownPathHasNoMethods) {
  for (const char* path : {"/", "", "/v1", "/v1/responses/a/b", "/v1/responses//cancel"}) {
    const RouteMatch match = router_.find("GET", path);
    EXPECT_EQ(match.route, nullptr) << path;
    EXPECT_TRUE(match.allowed.empty()) << path;
  }
}

TEST_F(RouterTest, PatternsNameTheSeriesOfAPath) {
  EXPECT_EQ(router_.pattern_of("/v1/responses/resp_7"), "/v1/responses/{id}");
  EXPECT_EQ(router_.pattern_of("/etc/passwd"), "other");
}

}  // namespace
}  // namespace gossamer::server
