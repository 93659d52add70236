#include "api/error.h"

#include <gtest/gtest.h>

namespace gossamer::api {
namespace {

TEST(ApiError, EmptyFieldsAreNullOnTheWire) {
  EXPECT_EQ(
      to_json(invalid_request("", "no")).dump(),
      R"({"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}})"
  );
  EXPECT_EQ(to_json(invalid_request("input[0]", "no"))["error"]["param"].dump(), R"("input[0]")");
}

TEST(ApiError, ALongPromptIsTheClientsToFix) {
  const ApiError error = from_error(make_error(ErrorCode::kContextFull, "too long"));
  EXPECT_EQ(error.status, 400);
  EXPECT_EQ(error.code, "context_length_exceeded");
}

TEST(ApiError, AFullQueueIs429AndABugIs500) {
  EXPECT_EQ(from_error(make_error(ErrorCode::kBusy, "full")).status, 429);
  EXPECT_EQ(from_error(make_error(ErrorCode::kInvalidArgument, "bad")).status, 400);
  EXPECT_EQ(from_error(make_error(ErrorCode::kNotFound, "gone")).status, 404);
  EXPECT_EQ(from_error(make_error(ErrorCode::kIo, "disk")).status, 500);
}

}  // namespace
}  // namespace gossamer::api
