#include "server/log.h"

#include <gtest/gtest.h>

namespace gossamer::server {
namespace {

TEST(LogTest, ALineIsTheEventAndItsFields) {
  EXPECT_EQ(
      log_line("request", {{"id", "req_1"}, {"status", "200"}}), "request id=req_1 status=200"
  );
}

TEST(LogTest, ValuesCannotForgeLinesOrFields) {
  EXPECT_EQ(
      log_line("request", {{"path", "/a b\nrequest id=\"x\""}, {"empty", ""}}),
      R"(request path="/a b\x0arequest id=\"x\"" empty="")"
  );
  EXPECT_EQ(log_line("e", {{"k", "\x1b[31m"}}), R"(e k="\x1b[31m")");
}

}  // namespace
}  // namespace gossamer::server
