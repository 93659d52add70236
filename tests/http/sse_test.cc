#include "http/sse.h"

#include <gtest/gtest.h>

namespace gossamer::http {
namespace {

std::string event(std::string_view name, std::string_view data) {
  std::string buffer;
  append_sse_event(buffer, name, data);
  return buffer;
}

TEST(Sse, AnEventHasANameAndData) {
  EXPECT_EQ(event("response.created", "{}"), "event: response.created\ndata: {}\n\n");
}

TEST(Sse, WithoutANameThereIsOnlyData) {
  EXPECT_EQ(event("", "[DONE]"), "data: [DONE]\n\n");
}

TEST(Sse, LinesBecomeDataLines) {
  EXPECT_EQ(event("", "a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
}

TEST(Sse, EmptyDataIsStillAnEvent) {
  EXPECT_EQ(event("x", ""), "event: x\ndata: \n\n");
}

TEST(Sse, ACommentIsNoEvent) {
  std::string buffer = "data: 1\n\n";
  append_sse_comment(buffer, "still here");
  EXPECT_EQ(buffer, "data: 1\n\n: still here\n\n");
}

}  // namespace
}  // namespace gossamer::http
